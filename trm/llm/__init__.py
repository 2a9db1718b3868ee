"""The language-model baseline."""
