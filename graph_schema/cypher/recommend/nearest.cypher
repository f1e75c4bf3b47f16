// Items whose vectors are nearest to a query, without those that were seen.
// $index: string; name of the vector index
// $k: integer; how many neighbours the index is asked for
// $vector: list of floats
// $seen: list of strings
// returns: item_id, title
CALL db.index.vector.queryNodes($index, $k, $vector) YIELD node, score
WITH node, score
WHERE NOT node.item_id IN $seen
RETURN node.item_id AS item_id, node.title AS title
ORDER BY score DESC, item_id
