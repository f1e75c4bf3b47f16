// Available items that no fact leads from: no path can explain why they are recommended.
// $limit: integer, 100; items at most
// returns: item_id, title, interactions
MATCH (i:Item)
WHERE NOT EXISTS { (i)-->(:Entity) }
  AND coalesce(i.available, true)
  AND coalesce(i.available_from <= datetime(), true)
  AND coalesce(i.expires_at > datetime(), true)
WITH i, COUNT { (i)<-[:INTERACTED]-(:User) } AS interactions
ORDER BY interactions DESC, i.item_id
LIMIT $limit
RETURN i.item_id AS item_id, coalesce(i.title, i.item_id) AS title, interactions
ORDER BY interactions DESC, item_id
