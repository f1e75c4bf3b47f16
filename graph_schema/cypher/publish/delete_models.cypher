// Forget models that are neither live nor hold a vector property.
// unchanged: catalogue
// $models: list of strings
// returns: deleted
MATCH (m:Model)
WHERE m.model_id IN $models AND m.slot IS NULL AND coalesce(m.live, 0) = 0
DELETE m
RETURN count(*) AS deleted
