// An entity, with how many items lead to it.
// $entity_id: string
// returns: entity_id, name, labels, aliases, items
MATCH (e:Entity {entity_id: $entity_id})
RETURN e.entity_id AS entity_id,
       coalesce(e.name, '') AS name,
       labels(e) AS labels,
       coalesce(e.aliases, []) AS aliases,
       COUNT { (e)<--(:Item) } AS items
