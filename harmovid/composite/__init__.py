"""Masks, mattes, blending and placing: putting one picture over another."""
