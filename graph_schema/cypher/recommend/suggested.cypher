// Items that the items of a history suggest, the strongest first, without those that were seen,
// as columns of one row.
// $history: list of strings
// $seen: list of strings
// $model_id: string
// $attention: map from an agent to the number that its weights are multiplied by
// $limit: integer
// returns: items, titles
UNWIND $history AS id
MATCH (h:Item {item_id: id})-[s:SUGGESTS]->(i:Item)
WHERE s.model_id = $model_id
WITH i, sum(s.weight * coalesce($attention[s.agent], 0.0)) AS weight
WHERE NOT i.item_id IN $seen
WITH i.item_id AS item_id, coalesce(i.title, '') AS title, weight
ORDER BY weight DESC, item_id
LIMIT $limit
RETURN collect(item_id) AS items, collect(title) AS titles
