"""Link prediction: hide some user-item edges, predict them from the edges that are left."""
