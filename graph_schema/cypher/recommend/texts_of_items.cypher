// Title and description of some items as one text; an id that the graph lacks has no row.
// $items: list of strings; ids
// returns: item_id, text
UNWIND $items AS id
MATCH (i:Item {item_id: id})
RETURN i.item_id AS item_id, coalesce(i.title, '') + ' ' + coalesce(i.description, '') AS text
