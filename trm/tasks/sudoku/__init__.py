"""Sudoku of any size."""
