"""The steps of the pipeline as processes, to be struck, run again and compared."""
