"""The semantic agent: sentence vectors, whitened or projected."""
