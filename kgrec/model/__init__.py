"""What serving needs, in NumPy alone: kernels, histories, coordinator, ranker, team, storage."""
