// Items that nobody has interacted with, with how many facts there are to recommend them by.
// $limit: integer, 100; items at most
// returns: item_id, title, facts
MATCH (i:Item)
WHERE NOT EXISTS { (i)<-[:INTERACTED]-(:User) }
WITH i, COUNT { (i)-->(:Entity) } AS facts
ORDER BY facts DESC, i.item_id
LIMIT $limit
RETURN i.item_id AS item_id, coalesce(i.title, '') AS title, facts
ORDER BY facts DESC, item_id
