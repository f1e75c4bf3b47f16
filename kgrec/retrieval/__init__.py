"""From a history to ordered recommendations: candidates, exact score, rules."""
