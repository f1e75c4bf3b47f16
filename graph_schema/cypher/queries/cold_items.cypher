// Available items that nobody has interacted with, with how many facts there are to recommend them by.
// $limit: integer, 100; items at most
// returns: item_id, title, facts
MATCH (i:Item)
WHERE NOT EXISTS { (i)<-[:INTERACTED]-(:User) }
  AND coalesce(i.available, true)
  AND coalesce(i.available_from <= datetime(), true)
  AND coalesce(i.expires_at > datetime(), true)
WITH i, COUNT { (i)-->(:Entity) } AS facts
ORDER BY facts DESC, i.item_id
LIMIT $limit
RETURN i.item_id AS item_id, coalesce(i.title, i.item_id) AS title, facts
ORDER BY facts DESC, item_id
