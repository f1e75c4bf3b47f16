"""The whole graph as files, and back, from any engine to any other (docs/dump.md)."""
