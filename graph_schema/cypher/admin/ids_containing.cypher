// Ids of users and items that contain an id, and are longer.
// $id: string
// $limit: integer
// returns: id
MATCH (n)
WHERE (n:User AND n.user_id CONTAINS $id AND n.user_id <> $id)
   OR (n:Item AND n.item_id CONTAINS $id AND n.item_id <> $id)
RETURN coalesce(n.user_id, n.item_id) AS id
LIMIT $limit
