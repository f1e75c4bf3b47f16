// Items that share the most and rarest entities with an item: for one that no model knows yet.
// $item_id: string
// $max_degree: integer; entities of more items than these say too little
// $among: list of strings or null; only these items
// $limit: integer
// $first: datetime; items must be available at this moment,
// $last: datetime; and at this one, which is not before it
// returns: item_id, title, weight, entities
MATCH (h:Item {item_id: $item_id})-->(e:Entity)
WITH DISTINCT h, e, COUNT { (e)<--(:Item) } AS degree
WHERE degree <= $max_degree
MATCH (e)<--(i:Item)
WHERE i.item_id <> h.item_id AND ($among IS NULL OR i.item_id IN $among)
  AND coalesce(i.available, true)
  AND coalesce(i.available_from <= $first, true)
  AND coalesce(i.expires_at > $last, true)
WITH DISTINCT i, e, degree
WITH i, sum(1.0 / degree) AS weight, collect(e.name) AS entities
RETURN i.item_id AS item_id, i.title AS title, weight, entities
ORDER BY weight DESC, item_id
LIMIT $limit
