"""The admin site: pages for those who ask, those who decide, and IT."""
