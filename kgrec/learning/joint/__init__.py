"""Agents that learn on one loss."""
