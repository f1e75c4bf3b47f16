// The next item ids in their order, as columns of one row; without rows at the end.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// $label: string or null; only items that carry this label
// returns: ids
MATCH (i:Item)
WHERE i.item_id > $after AND ($label IS NULL OR $label IN labels(i))
WITH i.item_id AS id
ORDER BY id
LIMIT $limit
RETURN collect(id) AS ids
