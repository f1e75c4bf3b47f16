"""Training of extractors: entities and relations from labelled texts."""
