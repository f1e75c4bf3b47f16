"""Nodes of the graph that are the same thing: found, merged, reviewed, and undone."""
