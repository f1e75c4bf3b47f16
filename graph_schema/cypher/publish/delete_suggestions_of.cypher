// Remove what some items suggest under a model; one transaction with publish/create_suggestions.
// unchanged: catalogue
// $items: list of strings
// $model_id: string
// returns: nothing
UNWIND $items AS id
MATCH (h:Item {item_id: id})-[s:SUGGESTS]->(:Item)
WHERE s.model_id = $model_id
DELETE s
