// Create items with their properties, all labels at once; one that is there contradicts the
// constraint of its id.
// $rows: list of maps {item_id: string, properties: map}
// __ITEM_TYPE__: the item label of the domain
// returns: created
UNWIND $rows AS row
CREATE (i:Item:__ITEM_TYPE__ {item_id: row.item_id})
SET i += row.properties
RETURN count(i) AS created
