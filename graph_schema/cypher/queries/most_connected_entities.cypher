// Entities that most items lead to, hidden ones included: the hubs of the graph.
// $type: string, ''; a type of entity such as Person, all types when empty
// $limit: integer, 20; entities at most
// returns: entity_id, name, types, items
MATCH (e:Entity)
WHERE $type = '' OR $type IN labels(e)
WITH e, COUNT { (e)<--(:Item) } AS items
ORDER BY items DESC, e.entity_id
LIMIT $limit
RETURN e.entity_id AS entity_id,
       coalesce(e.name, '') AS name,
       [label IN labels(e) WHERE label <> 'Entity'] AS types,
       items
ORDER BY items DESC, entity_id
