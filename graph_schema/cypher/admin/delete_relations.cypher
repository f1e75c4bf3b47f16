// Delete some relations, whatever their type.
// $limit: integer, the most relations of one call
// returns: deleted
MATCH ()-[r]->()
WITH r LIMIT $limit
DELETE r
RETURN count(r) AS deleted
