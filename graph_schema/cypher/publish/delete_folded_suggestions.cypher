// Remove what some items that were folded into a model suggest, and what suggests them.
// unchanged: catalogue
// $items: list of strings
// $model_id: string
// returns: nothing
UNWIND $items AS id
MATCH (i:Item {item_id: id})-[s:SUGGESTS]-(:Item)
WHERE s.model_id = $model_id AND s.folded = 1
DELETE s
