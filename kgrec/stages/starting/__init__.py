"""A pipeline file, and where none fits a domain file, guessed from a person's own tables."""
