// Titles of some items; an id that the graph lacks has no row.
// $items: list of strings
// returns: item_id, title, labels
UNWIND $items AS id
MATCH (i:Item {item_id: id})
RETURN i.item_id AS item_id, coalesce(i.title, i.item_id) AS title, labels(i) AS labels
