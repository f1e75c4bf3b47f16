"""Where tables come from: files, addresses of fsspec, queries, data sets."""
