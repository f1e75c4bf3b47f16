"""The knowledge agent: relational attention over the typed graph."""
