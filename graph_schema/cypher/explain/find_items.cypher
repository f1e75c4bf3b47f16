// Items whose title is, or begins with, some words, whatever their case.
// $title: string; in lower case
// $limit: integer
// returns: item_id, title
MATCH (i:Item)
WHERE toLower(i.title) STARTS WITH $title
RETURN i.item_id AS item_id, i.title AS title
ORDER BY size(i.title), item_id
LIMIT $limit
