"""Tables in and out, vocabularies, interactions, splits: everything before and after tensors."""
