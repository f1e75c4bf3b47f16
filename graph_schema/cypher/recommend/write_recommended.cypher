// Store recommendations of some users; one transaction with recommend/delete_recommended. An item
// that was hidden since the list was made is left out.
// unchanged: catalogue
// $rows: list of maps {user_id: string, item_id: string, rank: integer, score: float, request_id: string}
// $model_id: string
// $at: datetime
// returns: written
UNWIND $rows AS row
MATCH (u:User {user_id: row.user_id})
MATCH (i:Item {item_id: row.item_id})
WHERE coalesce(i.available, true)
CREATE (u)-[r:RECOMMENDED {rank: row.rank, score: row.score, model_id: $model_id, at: $at}]->(i)
SET r.request_id = row.request_id
RETURN count(r) AS written
