// Record what users did with items, in one transaction; users who were unknown come into being.
// A row whose item is not there has no answer; what is there already stays as it is.
// unchanged: catalogue
// $rows: list of maps {n: integer (number of the row), user_id: string, item_id: string,
//   key: string (different for each interaction of a user with an item), kind: string,
//   value: float, at: integer (milliseconds since 1970), device: string or null,
//   scenario: string or null}
// returns: n, known (whether it was there already)
UNWIND $rows AS row
MATCH (i:Item {item_id: row.item_id})
MERGE (u:User {user_id: row.user_id})
WITH row, u, i, EXISTS { (u)-[:INTERACTED {key: row.key}]->(i) } AS known
MERGE (u)-[x:INTERACTED {key: row.key}]->(i)
ON CREATE SET x.kind = row.kind, x.value = row.value,
    x.at = datetime({epochMillis: row.at}),
    x.device = row.device, x.scenario = row.scenario
RETURN row.n AS n, known
