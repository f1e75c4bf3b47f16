"""What a graph holds and what is wrong with it, with what to do about each."""
