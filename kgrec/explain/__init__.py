"""Explanations: attributions, knowledge paths, counterfactuals, words."""
