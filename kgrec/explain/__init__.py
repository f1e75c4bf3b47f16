"""The score taken apart: attributions, knowledge paths, counterfactuals, words."""
