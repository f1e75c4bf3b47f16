"""Records into the graph: what is there is compared first, so only what differs is written."""
