"""Tests of Towngate: folders mirror the source, `tests.journeys` plays the real thing end to end."""
