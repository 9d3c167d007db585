"""Several processes that do one job: each takes a share, then the results are gathered."""
