"""The steps of a pipeline, one linear module each."""
