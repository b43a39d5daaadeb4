"""Deciding, and the words both sides share. Pure: reads no clock, no file, no network."""
