// Remove entities and everything that is tied to them.
// $entities: list of strings
// returns: deleted
UNWIND $entities AS id
MATCH (e:Entity {entity_id: id})
DETACH DELETE e
RETURN count(*) AS deleted
