// The next entities that a table names, in the order of their ids, as columns of one row. What only
// a text named is left out, so that a wrong reading does not teach the next one.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// $extractor: string; what facts from tables carry
// returns: ids, names, labels
MATCH (e:Entity)
WHERE e.entity_id > $after
  AND EXISTS { MATCH (:Item)-[f]->(e) WHERE f.extractor = $extractor }
WITH e
ORDER BY e.entity_id
LIMIT $limit
RETURN collect(e.entity_id) AS ids,
       collect(coalesce(e.name, '')) AS names,
       collect(labels(e)) AS labels
