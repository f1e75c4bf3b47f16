// Items that are there, with their labels and some of their properties.
// $items: list of strings
// $properties: list of strings
// returns: item_id, labels, values (in the order of $properties)
UNWIND $items AS id
MATCH (i:Item {item_id: id})
RETURN id AS item_id, labels(i) AS labels, [p IN $properties | i[p]] AS values
