// Write what items that were folded into a model suggest, and what suggests them.
// unchanged: catalogue
// $rows: list of maps {history: string, item: string, agent: string, weight: float}
// $model_id: string
// returns: written
UNWIND $rows AS row
MATCH (h:Item {item_id: row.history})
MATCH (i:Item {item_id: row.item})
CREATE (h)-[s:SUGGESTS {agent: row.agent, weight: row.weight, model_id: $model_id, folded: 1}]->(i)
RETURN count(s) AS written
