"""Metrics of ranked lists, one value a user, and the intervals of their means."""
