"""The runtimes of models, one a file; each is imported only when a model needs it."""
