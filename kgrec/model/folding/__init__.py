"""Items that came after the training: what the agents say of them, computed in NumPy."""
