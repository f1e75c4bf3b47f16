// How many interactions some items have; an id that the graph lacks has no row.
// $items: list of strings
// $label: string or null; only items that carry this label
// returns: item_id, title, interactions
UNWIND $items AS id
MATCH (i:Item {item_id: id})
WHERE $label IS NULL OR $label IN labels(i)
RETURN i.item_id AS item_id, i.title AS title, COUNT { (i)<-[:INTERACTED]-() } AS interactions
