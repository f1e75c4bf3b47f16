// Items in the order of their ids, a page at a time.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: item_id, title, available (whether it may be recommended now)
MATCH (i:Item)
WHERE i.item_id > $after
RETURN i.item_id AS item_id, coalesce(i.title, i.item_id) AS title,
       coalesce(i.available, true)
         AND coalesce(i.available_from <= datetime(), true)
         AND coalesce(i.expires_at > datetime(), true) AS available
ORDER BY item_id
LIMIT $limit
