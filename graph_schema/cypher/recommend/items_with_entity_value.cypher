// Items that lead to an entity whose property lies between two values, both included: films by a
// director born in the sixties.
// $through: list of strings; relation types from the items to the entities
// __PROPERTY__: property of the entities
// $least: number or string
// $most: number or string
// returns: items
MATCH (e:Entity)
WHERE e.__PROPERTY__ >= $least AND e.__PROPERTY__ <= $most
MATCH (e)<-[f]-(i:Item)
WHERE type(f) IN $through
RETURN collect(DISTINCT i.item_id) AS items
