"""Trained models at work: one loop over supervision steps, solving and evaluation."""
