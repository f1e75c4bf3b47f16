"""From text to facts and vectors: spaCy components, encoders, language models."""
