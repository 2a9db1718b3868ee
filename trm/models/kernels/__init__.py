"""C kernels for small layers, and the same operations in plain torch."""
