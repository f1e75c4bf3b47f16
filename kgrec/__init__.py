"""A knowledge-graph-centric recommendation engine."""

__version__ = "0.1.0"
