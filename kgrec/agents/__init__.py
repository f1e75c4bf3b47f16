"""Kernels, the agents that learn them, and the coordinator that weighs them."""
