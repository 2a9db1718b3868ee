"""Mazes: the shortest path from S to G."""
