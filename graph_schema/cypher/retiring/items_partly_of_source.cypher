// The next items, in the order of their ids, whose title another source gave, and of which a source
// holds a property or a fact.
// $after: string; the last id of the page before, '' at first
// $title: string; `title=` and the source
// $origin: string; `=` and the source
// $facts: string; how the sources of its facts begin
// $limit: integer
// returns: ids
MATCH (i:Item)
WHERE i.item_id > $after AND i.origins IS NOT NULL AND NOT $title IN i.origins
  AND (any(o IN i.origins WHERE o ENDS WITH $origin)
       OR EXISTS { MATCH (i)-[f]->(:Entity) WHERE f.source STARTS WITH $facts })
WITH i
ORDER BY i.item_id
LIMIT $limit
RETURN collect(i.item_id) AS ids
