"""Pixels: what kind of image bytes are, what they hold, and renditions of them, by libvips, in bounded memory and time."""
