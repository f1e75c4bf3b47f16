// What a user did, newest first, a page at a time.
// $user_id: string
// $before: integer; time of the last entry of the page before, in milliseconds since 1970
// $after_item: string; its item, '' at first
// $after_key: string; its key, '' at first
// $limit: integer
// returns: item_id, title, kind, value, at (milliseconds since 1970), key
MATCH (u:User {user_id: $user_id})-[x:INTERACTED]->(i:Item)
WITH i, x, coalesce(x.at.epochMillis, 0) AS at, coalesce(x.key, '') AS key
WHERE at < $before
   OR (at = $before AND i.item_id > $after_item)
   OR (at = $before AND i.item_id = $after_item AND key > $after_key)
RETURN i.item_id AS item_id,
       coalesce(i.title, i.item_id) AS title,
       x.kind AS kind,
       x.value AS value,
       at,
       key
ORDER BY at DESC, item_id, key
LIMIT $limit
