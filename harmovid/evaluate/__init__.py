"""Measures, and scores for folders of results."""
