// Items whose vectors are nearest to a query, the nearest first, without those that were seen, as
// columns of one row.
// $index: string; name of the vector index
// $k: integer; how many neighbours the index is asked for
// $vector: list of floats
// $seen: list of strings
// returns: items, titles
CALL db.index.vector.queryNodes($index, $k, $vector) YIELD node, score
WITH node, score
WHERE NOT node.item_id IN $seen
WITH node.item_id AS item_id, coalesce(node.title, '') AS title, score
ORDER BY score DESC, item_id
RETURN collect(item_id) AS items, collect(title) AS titles
