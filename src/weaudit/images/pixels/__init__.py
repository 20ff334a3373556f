"""Pixels: what kind of image bytes are, what they hold, and renditions of them, in bounded memory and time."""
