// Delete some of the nodes of a label, with what relations they still have.
// __LABEL__: label
// $limit: integer; the most nodes of one call
// returns: deleted
MATCH (n:__LABEL__)
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(n) AS deleted
