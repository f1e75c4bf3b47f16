// Remove what some items suggest under a model, but for those of items that were folded in; one transaction with publish/create_suggestions.
// unchanged: catalogue
// $items: list of strings
// $model_id: string
// returns: nothing
UNWIND $items AS id
MATCH (h:Item {item_id: id})-[s:SUGGESTS]->(:Item)
WHERE s.model_id = $model_id AND s.folded IS NULL
DELETE s
