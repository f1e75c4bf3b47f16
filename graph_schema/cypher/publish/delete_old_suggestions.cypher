// Remove what some items suggest under some models.
// unchanged: catalogue
// $items: list of strings
// $models: list of strings; neither live nor being published
// returns: deleted
UNWIND $items AS id
MATCH (h:Item {item_id: id})-[s:SUGGESTS]->(:Item)
WHERE s.model_id IN $models
DELETE s
RETURN count(*) AS deleted
