// Items in the order of their ids, a page at a time.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: item_id, title
MATCH (i:Item)
WHERE i.item_id > $after
RETURN i.item_id AS item_id, coalesce(i.title, '') AS title
ORDER BY item_id
LIMIT $limit
