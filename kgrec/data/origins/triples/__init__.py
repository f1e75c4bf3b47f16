"""Triples as catalogues: N-Triples, Turtle and `.kg` files become one row for each item."""
