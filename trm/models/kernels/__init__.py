"""The C kernels of the small layers, and the same arithmetic in plain torch."""
