// Remove an item and everything that is tied to it.
// $item_id: string
// returns: deleted
MATCH (i:Item {item_id: $item_id})
DETACH DELETE i
RETURN count(*) AS deleted
