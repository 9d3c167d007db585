"""Three ways to learn, each with `epoch`, `state` and `load`: gradients, EM, ridge regression."""
