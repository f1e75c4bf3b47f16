// What a user declares: properties, and the entities that they are linked to; no row when there is
// no user of this id.
// $user_id: string
// returns: properties, entities, names
MATCH (u:User {user_id: $user_id})
OPTIONAL MATCH (u)-->(e:Entity)
WITH u, e ORDER BY e.entity_id
RETURN properties(u) AS properties,
       collect(e.entity_id) AS entities,
       collect(coalesce(e.name, e.entity_id)) AS names
