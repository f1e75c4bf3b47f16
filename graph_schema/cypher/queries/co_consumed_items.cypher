// Available items that the users of an item interacted with as well, with how many of those users did.
// $item_id: string; id of the item
// $limit: integer, 20; items at most
// returns: item_id, title, users
MATCH (i:Item {item_id: $item_id})<-[:INTERACTED]-(u:User)
WITH DISTINCT i, u
MATCH (u)-[:INTERACTED]->(o:Item)
WHERE o.item_id <> i.item_id
  AND coalesce(o.available, true)
  AND coalesce(o.available_from <= datetime(), true)
  AND coalesce(o.expires_at > datetime(), true)
WITH o, count(DISTINCT u.user_id) AS users
ORDER BY users DESC, o.item_id
LIMIT $limit
RETURN o.item_id AS item_id, coalesce(o.title, o.item_id) AS title, users
ORDER BY users DESC, item_id
