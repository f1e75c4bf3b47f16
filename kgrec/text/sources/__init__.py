"""What finds facts in a text: components that a user lists, and what is kept of their findings."""
