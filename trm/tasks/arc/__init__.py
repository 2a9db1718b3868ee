"""ARC-AGI."""
