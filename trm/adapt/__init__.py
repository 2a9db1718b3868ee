"""Solving an ARC task with tiny models that are trained on its demonstrations alone."""
