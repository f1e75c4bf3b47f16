// Items whose property lies between two values, both included; by its index, where it has one.
// __PROPERTY__: property
// $least: number or string
// $most: number or string
// returns: items
MATCH (i:Item)
WHERE i.__PROPERTY__ >= $least AND i.__PROPERTY__ <= $most
RETURN collect(i.item_id) AS items
