"""Blending fitted agents: shares, gate, ranker, and the search of settings."""
