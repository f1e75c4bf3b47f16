// Remove items and everything that is tied to them.
// $items: list of strings
// returns: deleted
UNWIND $items AS id
MATCH (i:Item {item_id: id})
DETACH DELETE i
RETURN count(*) AS deleted
