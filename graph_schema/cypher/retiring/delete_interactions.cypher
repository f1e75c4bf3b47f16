// Remove interactions.
// unchanged: catalogue
// $rows: list of maps {user_id: string, item_id: string, key: string}
// returns: deleted
UNWIND $rows AS row
MATCH (u:User {user_id: row.user_id})-[x:INTERACTED {key: row.key}]->(i:Item {item_id: row.item_id})
DELETE x
RETURN count(*) AS deleted
