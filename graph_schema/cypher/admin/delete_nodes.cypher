// Delete some nodes, whatever their label, with what relations they still have.
// $limit: integer, the most nodes of one call
// returns: deleted
MATCH (n)
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(n) AS deleted
