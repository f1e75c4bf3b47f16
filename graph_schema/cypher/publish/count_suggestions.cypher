// How many items each of some items suggests under a model.
// $items: list of strings
// $model_id: string
// returns: item_id, suggestions
UNWIND $items AS id
MATCH (h:Item {item_id: id})-[s:SUGGESTS]->(:Item)
WHERE s.model_id = $model_id
RETURN id AS item_id, count(s) AS suggestions
