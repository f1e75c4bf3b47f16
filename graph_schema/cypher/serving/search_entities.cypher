// Entities found by the words of their names, the best match first: those that hold every word come
// before the others, then those that begin with the first word.
// $index: string; name of the full-text index
// $query: string; words with spaces between them
// $terms: list of strings; the words in lower case, without signs
// $type: string; a label that they must have, '' for any
// $skip: integer
// $limit: integer
// returns: entity_id, name, labels
CALL db.index.fulltext.queryNodes($index, $query) YIELD node, score
WITH node, score, toLower(coalesce(node.name, '')) AS name
WHERE $type = '' OR $type IN labels(node)
WITH node, score, size([t IN $terms WHERE name CONTAINS t]) AS held,
     CASE WHEN name STARTS WITH $terms[0] THEN 1 ELSE 0 END AS begins
RETURN node.entity_id AS entity_id, coalesce(node.name, '') AS name, labels(node) AS labels
ORDER BY held DESC, begins DESC, score DESC, entity_id
SKIP $skip
LIMIT $limit
