// The names of the next items in the order of their ids, as columns of one row.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: ids, names (the id of an item without a title), labels
MATCH (i:Item)
WHERE i.item_id > $after
WITH i
ORDER BY i.item_id
LIMIT $limit
RETURN collect(i.item_id) AS ids,
       collect(coalesce(i.title, i.item_id)) AS names,
       collect(labels(i)) AS labels
