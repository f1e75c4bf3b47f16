// Create entities that are not there, all labels at once; those that are there keep their names.
// $rows: list of maps {entity_id: string, name: string}, ids distinct
// __ENTITY_TYPE__: an entity type of the domain
// returns: created
UNWIND $rows AS row
OPTIONAL MATCH (o:Entity {entity_id: row.entity_id})
WITH row, o
WHERE o IS NULL
CREATE (e:Entity:__ENTITY_TYPE__ {entity_id: row.entity_id, name: row.name})
RETURN count(e) AS created
