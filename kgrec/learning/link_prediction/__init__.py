"""Link prediction: predict hidden supervision edges from the remaining message edges."""
