// Items that lead to one of some entities over another entity: films by a director born in a place.
// $through: list of strings; relation types from the items to the entities between
// $relations: list of strings; relation types from those to the entities
// $entities: list of strings; ids
// returns: items
UNWIND $entities AS id
MATCH (e:Entity {entity_id: id})<-[g]-(m:Entity)
WHERE type(g) IN $relations
WITH DISTINCT m
MATCH (m)<-[f]-(i:Item)
WHERE type(f) IN $through
RETURN collect(DISTINCT i.item_id) AS items
