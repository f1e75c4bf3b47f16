"""How a team is learned: a package for each agent, one for blending them."""
