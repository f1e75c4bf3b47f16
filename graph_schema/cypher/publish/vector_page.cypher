// Items that have a vector in a property, in the order of their ids, as columns of one row.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// __SLOT__: vector_a or vector_b
// returns: ids, sizes
MATCH (i:Item)
WHERE i.item_id > $after AND i.__SLOT__ IS NOT NULL
WITH i
ORDER BY i.item_id
LIMIT $limit
RETURN collect(i.item_id) AS ids, collect(size(i.__SLOT__)) AS sizes
