"""The graph and its training data as files: torch-geometric, Parquet, networkx, GraphML."""
