// Available items that the live model suggests to whoever likes an item, by agent, as stored in the graph.
// $item_id: string; id of the item
// $limit: integer, 50; suggestions at most
// returns: agent, item_id, title, weight
MATCH (m:Model {live: 1})
MATCH (:Item {item_id: $item_id})-[s:SUGGESTS {model_id: m.model_id}]->(o:Item)
WHERE coalesce(o.available, true)
  AND coalesce(o.available_from <= datetime(), true)
  AND coalesce(o.expires_at > datetime(), true)
RETURN s.agent AS agent, o.item_id AS item_id, coalesce(o.title, o.item_id) AS title, s.weight AS weight
ORDER BY agent, weight DESC, item_id
LIMIT $limit
