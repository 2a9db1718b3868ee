"""Records of evaluations, comparisons of models, histories of training, and costs. Nothing here prints."""
