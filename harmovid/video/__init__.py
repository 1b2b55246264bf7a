"""Clips in and out: decoding, encoding, colour, motion, windows."""
