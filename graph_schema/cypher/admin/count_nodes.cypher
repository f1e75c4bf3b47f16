// Count the nodes of a label.
// __LABEL__: label
// returns: count
MATCH (n:__LABEL__)
RETURN count(n) AS count
