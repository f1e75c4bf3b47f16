// Entities that are there, with some of their properties.
// $entities: list of strings
// $properties: list of strings
// returns: entity_id, values (in the order of $properties)
UNWIND $entities AS id
MATCH (e:Entity {entity_id: id})
RETURN id AS entity_id, [p IN $properties | e[p]] AS values
