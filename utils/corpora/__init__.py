"""One module per corpus, each with `is_there` and `find`; and the step from a corpus to lists."""
