"""Records of evaluations, comparisons, training histories and costs."""
