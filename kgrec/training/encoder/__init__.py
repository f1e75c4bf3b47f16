"""Adapting a sentence encoder to a catalogue: its words first, then who takes what with what."""
