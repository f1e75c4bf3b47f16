// Entities in the order of their ids.
// $type: string; a label that they must have, '' for any
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: entity_id, name, labels
MATCH (e:Entity)
WHERE e.entity_id > $after AND ($type = '' OR $type IN labels(e))
RETURN e.entity_id AS entity_id, coalesce(e.name, '') AS name, labels(e) AS labels
ORDER BY entity_id
LIMIT $limit
