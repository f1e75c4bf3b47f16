"""What a complete source no longer holds: retired, kept, brought back, forgotten."""
