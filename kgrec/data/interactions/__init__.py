"""Interactions of tables: read column by column, and sorted by user."""
