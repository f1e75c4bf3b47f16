// The next users in the order of their ids, as columns of one row.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: ids, values (all properties of each user)
MATCH (u:User)
WHERE u.user_id > $after
WITH u
ORDER BY u.user_id
LIMIT $limit
RETURN collect(u.user_id) AS ids, collect(properties(u)) AS values
