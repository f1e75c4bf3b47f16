// Remove those of some entities that nothing leads to or from, and that hold a name and no more.
// $entities: list of strings
// returns: deleted
UNWIND $entities AS id
MATCH (e:Entity {entity_id: id})
WHERE NOT (e)--() AND size([k IN keys(e) WHERE NOT k IN ['entity_id', 'name']]) = 0
DELETE e
RETURN count(*) AS deleted
