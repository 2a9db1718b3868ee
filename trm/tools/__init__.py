"""The solver as tools for language models."""
