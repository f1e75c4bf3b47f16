// Items that one of some relations ties to one of some entities.
// $relations: list of strings; relation types that count
// $entities: list of strings; ids
// returns: items
UNWIND $entities AS id
MATCH (e:Entity {entity_id: id})<-[f]-(i:Item)
WHERE type(f) IN $relations
RETURN collect(DISTINCT i.item_id) AS items
