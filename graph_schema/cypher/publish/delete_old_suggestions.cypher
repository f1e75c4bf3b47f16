// Remove some of the suggestions of every model but one; called until it removes none.
// $model_id: string; the model whose suggestions stay
// $limit: integer
// returns: deleted
MATCH (:Item)-[s:SUGGESTS]->(:Item)
WHERE s.model_id <> $model_id
WITH s
LIMIT $limit
DELETE s
RETURN count(*) AS deleted
