// Available items that an entity connects, with the relation that leads to it: all films of a director.
// $entity_id: string; id of the entity
// $limit: integer, 100; items at most
// returns: item_id, title, relation, confidence
MATCH (e:Entity {entity_id: $entity_id})<-[f]-(i:Item)
WHERE coalesce(i.available, true)
  AND coalesce(i.available_from <= datetime(), true)
  AND coalesce(i.expires_at > datetime(), true)
RETURN i.item_id AS item_id,
       coalesce(i.title, i.item_id) AS title,
       type(f) AS relation,
       coalesce(f.confidence, 1.0) AS confidence
ORDER BY confidence DESC, title, item_id
LIMIT $limit
