"""The HTTP API and the explorer page."""
