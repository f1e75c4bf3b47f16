// Set properties of entities; those that are not named stay.
// $rows: list of maps {entity_id: string, properties: map}
// returns: written
UNWIND $rows AS row
MATCH (e:Entity {entity_id: row.entity_id})
SET e += row.properties
RETURN count(e) AS written
