"""A running log of interactions: followed, batch by batch, from a file that grows or a pipe."""
