"""ARC models: votes over augmentations, evaluation and pictures."""
