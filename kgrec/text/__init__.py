"""Text to facts and to vectors: spaCy components, encoders, language models."""
