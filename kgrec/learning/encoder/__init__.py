"""Adapting a sentence encoder to a catalogue."""
