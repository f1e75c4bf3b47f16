// The next entities that a table names, in the order of their ids, with the relations in which tables
// have them, as columns of one row.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// $extractor: string; what facts from tables carry
// returns: ids, names, aliases, labels, relations
MATCH (e:Entity)
WHERE e.entity_id > $after
  AND EXISTS { MATCH (:Item)-[f]->(e) WHERE f.extractor = $extractor }
WITH e
ORDER BY e.entity_id
LIMIT $limit
MATCH (:Item)-[f]->(e)
WHERE f.extractor = $extractor
WITH e, collect(DISTINCT type(f)) AS relations
RETURN collect(e.entity_id) AS ids,
       collect(coalesce(e.name, '')) AS names,
       collect(coalesce(e.aliases, [])) AS aliases,
       collect(labels(e)) AS labels,
       collect(relations) AS relations
