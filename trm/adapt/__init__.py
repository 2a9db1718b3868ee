"""Tiny models trained on one ARC task."""
