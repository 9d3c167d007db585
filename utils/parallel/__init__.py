"""Several processes that do one job: a share for each, and the shares gathered."""
