// Items that the items of a history suggest, the strongest first, without those that were seen,
// as columns of one row.
// $history: list of strings
// $seen: list of strings
// $model_id: string
// $attention: map from an agent to the number that its weights are multiplied by
// $limit: integer
// $first: datetime; items must be available at this moment,
// $last: datetime; and at this one, which is not before it
// returns: items, titles
UNWIND $history AS id
MATCH (h:Item {item_id: id})-[s:SUGGESTS]->(i:Item)
WHERE s.model_id = $model_id
WITH i, sum(s.weight * coalesce($attention[s.agent], 0.0)) AS weight
WHERE NOT i.item_id IN $seen
  AND coalesce(i.available, true)
  AND coalesce(i.available_from <= $first, true)
  AND coalesce(i.expires_at > $last, true)
WITH i.item_id AS item_id, coalesce(i.title, '') AS title, weight
ORDER BY weight DESC, item_id
LIMIT $limit
RETURN collect(item_id) AS items, collect(title) AS titles
