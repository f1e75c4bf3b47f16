// Find nodes by words of their text.
// $index: string, a full-text index
// $words: string
// $limit: integer
// __KEY__: the key property of the label
// __TEXT__: the indexed property
// returns: id, text, score, the best first
CALL db.index.fulltext.queryNodes($index, $words) YIELD node, score
RETURN node.__KEY__ AS id, node.__TEXT__ AS text, score
ORDER BY score DESC, id
LIMIT $limit
