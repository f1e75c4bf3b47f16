// Entities that two items share, with the relation of each: what makes them alike.
// $item_id: string; id of one item
// $other_id: string; id of the other
// $limit: integer, 100; entities at most
// returns: entity_id, name, relation, other_relation, items
MATCH (a:Item {item_id: $item_id})-[f]->(e:Entity)<-[g]-(b:Item {item_id: $other_id})
WITH e, type(f) AS relation, type(g) AS other_relation, COUNT { (e)<--(:Item) } AS items
RETURN e.entity_id AS entity_id, coalesce(e.name, '') AS name, relation, other_relation, items
ORDER BY items, name, entity_id, relation, other_relation
LIMIT $limit
