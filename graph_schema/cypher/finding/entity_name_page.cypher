// The names of the next entities in the order of their ids, as columns of one row.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: ids, names, labels
MATCH (e:Entity)
WHERE e.entity_id > $after
WITH e
ORDER BY e.entity_id
LIMIT $limit
RETURN collect(e.entity_id) AS ids,
       collect(coalesce(e.name, '')) AS names,
       collect(labels(e)) AS labels
