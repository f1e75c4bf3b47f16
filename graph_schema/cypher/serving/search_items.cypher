// Items found by the words of their titles, the best match first: those that hold every word come
// before the others, then those that begin with the first word.
// $index: string; name of the full-text index
// $query: string; words with spaces between them
// $terms: list of strings; the words in lower case, without signs
// $skip: integer
// $limit: integer
// returns: item_id, title, available (whether it may be recommended now)
CALL db.index.fulltext.queryNodes($index, $query) YIELD node, score
WITH node, score, toLower(coalesce(node.title, '')) AS title
WITH node, score, size([t IN $terms WHERE title CONTAINS t]) AS held,
     CASE WHEN title STARTS WITH $terms[0] THEN 1 ELSE 0 END AS begins
RETURN node.item_id AS item_id, coalesce(node.title, node.item_id) AS title,
       coalesce(node.available, true)
         AND coalesce(node.available_from <= datetime(), true)
         AND coalesce(node.expires_at > datetime(), true) AS available
ORDER BY held DESC, begins DESC, score DESC, item_id
SKIP $skip
LIMIT $limit
