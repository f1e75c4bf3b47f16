"""The sequential agent: attention over order, time and kind of a history."""
