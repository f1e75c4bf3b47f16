// Create items that are not there, all labels at once; no other statement creates items.
// $items: list of strings, distinct
// __ITEM_TYPE__: the item label of the domain
// returns: created
UNWIND $items AS id
OPTIONAL MATCH (o:Item {item_id: id})
WITH id, o
WHERE o IS NULL
CREATE (i:Item:__ITEM_TYPE__ {item_id: id})
RETURN count(i) AS created
