// Everything that some items hold themselves.
// $items: list of strings
// returns: item_id, labels, values (all properties)
UNWIND $items AS id
MATCH (i:Item {item_id: id})
RETURN id AS item_id, labels(i) AS labels, properties(i) AS values
