// Delete some of the relations that leave the nodes of a label, whatever their type.
// __LABEL__: label
// $limit: integer; the most relations of one call
// returns: deleted
MATCH (:__LABEL__)-[r]->()
WITH r LIMIT $limit
DELETE r
RETURN count(r) AS deleted
