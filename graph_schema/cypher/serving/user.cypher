// One user; no row when there is none of this id.
// $user_id: string
// returns: user_id, properties, interactions
MATCH (u:User {user_id: $user_id})
RETURN u.user_id AS user_id,
       properties(u) AS properties,
       COUNT { (u)-[:INTERACTED]->(:Item) } AS interactions
