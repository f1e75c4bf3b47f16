"""Extractors that are trained from labelled texts: entities, and the relations between them."""
