// Remove some of the suggestions of some models; called until it removes none.
// $models: list of strings; neither live nor being published
// $limit: integer
// returns: deleted
MATCH (:Item)-[s:SUGGESTS]->(:Item)
WHERE s.model_id IN $models
WITH s
LIMIT $limit
DELETE s
RETURN count(*) AS deleted
