"""Finding items and entities by their names."""
