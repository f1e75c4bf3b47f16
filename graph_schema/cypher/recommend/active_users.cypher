// The users who did something last, the latest first. Reads every interaction.
// $limit: integer
// returns: user_id
MATCH (u:User)-[x:INTERACTED]->(:Item)
WITH u.user_id AS user_id, max(coalesce(x.at.epochMillis, 0)) AS last
ORDER BY last DESC, user_id
LIMIT $limit
RETURN user_id
