// Have the texts of all items that lead to entities read again: no mark of a reading equals this one.
// $entities: list of strings
// returns: nothing
UNWIND $entities AS id
MATCH (i:Item)-[]->(e:Entity {entity_id: id})
WHERE i.extracted IS NOT NULL
SET i.extracted = 'again'
