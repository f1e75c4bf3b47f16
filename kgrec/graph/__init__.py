"""The property graph over Bolt: store, embedded server, dialects, export."""
