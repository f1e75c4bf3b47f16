// What a user did, newest first, as columns of one row; no row when the user does not exist.
// $user_id: string
// returns: user_id, items, titles, kinds, values, times (milliseconds since 1970)
MATCH (u:User {user_id: $user_id})
OPTIONAL MATCH (u)-[x:INTERACTED]->(i:Item)
WITH u, x, i, coalesce(x.at.epochMillis, 0) AS at
ORDER BY at DESC, i.item_id
RETURN u.user_id AS user_id,
       collect(i.item_id) AS items,
       collect(CASE WHEN i IS NULL THEN null ELSE coalesce(i.title, '') END) AS titles,
       collect(x.kind) AS kinds,
       collect(CASE WHEN i IS NULL THEN null ELSE coalesce(x.value, 1.0) END) AS values,
       collect(CASE WHEN i IS NULL THEN null ELSE at END) AS times
