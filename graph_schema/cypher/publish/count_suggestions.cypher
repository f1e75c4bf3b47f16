// How many items each of some items suggests under a model; those of items that were folded in are left out.
// $items: list of strings
// $model_id: string
// returns: item_id, suggestions
UNWIND $items AS id
MATCH (h:Item {item_id: id})-[s:SUGGESTS]->(:Item)
WHERE s.model_id = $model_id AND s.folded IS NULL
RETURN id AS item_id, count(s) AS suggestions
