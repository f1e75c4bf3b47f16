// Entities that nothing leads to or from, and that hold a name and no more.
// $limit: integer
// returns: ids
MATCH (e:Entity)
WHERE NOT (e)--() AND size([k IN keys(e) WHERE NOT k IN ['entity_id', 'name']]) = 0
WITH e
LIMIT $limit
RETURN collect(e.entity_id) AS ids
