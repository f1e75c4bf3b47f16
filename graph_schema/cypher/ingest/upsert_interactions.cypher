// Write interactions of users and items that are there; one for each user, item and key.
// $rows: list of maps {user_id: string, item_id: string, key: string, kind: string,
//   value: float, at: datetime or null}
// returns: written
UNWIND $rows AS row
MATCH (u:User {user_id: row.user_id})
MATCH (i:Item {item_id: row.item_id})
MERGE (u)-[x:INTERACTED {key: row.key}]->(i)
SET x.kind = row.kind, x.value = row.value, x.at = row.at
RETURN count(x) AS written
