// Users whose id begins with some text, in the order of their ids.
// $prefix: string; '' for every user
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: user_id, properties, interactions
MATCH (u:User)
WHERE u.user_id > $after AND u.user_id STARTS WITH $prefix
WITH u
ORDER BY u.user_id
LIMIT $limit
RETURN u.user_id AS user_id,
       properties(u) AS properties,
       COUNT { (u)-[:INTERACTED]->(:Item) } AS interactions
ORDER BY user_id
