// The next items, in the order of their ids, whose title a source gave; or of which it holds a fact,
// where nothing names who gave the title.
// $after: string; the last id of the page before, '' at first
// $title: string; `title=` and the source
// $facts: string; how the sources of its facts begin
// $limit: integer
// returns: ids
MATCH (i:Item)
WHERE i.item_id > $after
  AND ($title IN coalesce(i.origins, [])
       OR (i.origins IS NULL
           AND EXISTS { MATCH (i)-[f]->(:Entity) WHERE f.source STARTS WITH $facts }))
WITH i
ORDER BY i.item_id
LIMIT $limit
RETURN collect(i.item_id) AS ids
