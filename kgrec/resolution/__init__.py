"""Entity resolution: which records of two sources, or of one, stand for the same thing."""
