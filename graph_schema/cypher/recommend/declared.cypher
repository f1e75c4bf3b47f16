// What some users declare: properties, and the entities that they are linked to; an id that the
// graph lacks has no row.
// $users: list of strings
// returns: user_id, properties, entities, names
UNWIND $users AS id
MATCH (u:User {user_id: id})
OPTIONAL MATCH (u)-->(e:Entity)
WITH u, e ORDER BY e.entity_id
WITH u,
     collect(e.entity_id) AS entities,
     collect(coalesce(e.name, e.entity_id)) AS names
RETURN u.user_id AS user_id, properties(u) AS properties, entities, names
