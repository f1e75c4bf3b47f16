"""The factorisation agent: matrix factorisation of implicit feedback."""
