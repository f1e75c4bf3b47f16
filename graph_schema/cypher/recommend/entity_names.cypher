// Names of some entities; an id that the graph lacks has no row.
// $entities: list of strings
// returns: entity_id, name
UNWIND $entities AS id
MATCH (e:Entity {entity_id: id})
RETURN e.entity_id AS entity_id, coalesce(e.name, e.entity_id) AS name
