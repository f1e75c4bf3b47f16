"""Metrics, protocols and reports over anything that ranks."""
