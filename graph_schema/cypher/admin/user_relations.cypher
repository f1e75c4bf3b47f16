// All relations of a user but those of what the user did: likes, recommendations, links.
// $user_id: string
// returns: relation, outgoing, labels, id, name, properties
MATCH (u:User {user_id: $user_id})-[x]-(n)
WHERE type(x) <> 'INTERACTED'
RETURN type(x) AS relation,
       startNode(x) = u AS outgoing,
       labels(n) AS labels,
       coalesce(n.item_id, n.entity_id, n.user_id) AS id,
       coalesce(n.title, n.name) AS name,
       properties(x) AS properties
ORDER BY relation, id
