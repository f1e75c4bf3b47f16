"""Loading of records into the graph: they are compared with it, and only differences written."""
