// Withdraw facts of one relation that their source no longer holds.
// $rows: list of maps {item_id: string, entity_id: string, source: string}
// __RELATION__: a relation type of the domain
// returns: nothing
UNWIND $rows AS row
MATCH (i:Item {item_id: row.item_id})-[f:__RELATION__]->(e:Entity {entity_id: row.entity_id})
WHERE f.source = row.source
DELETE f
