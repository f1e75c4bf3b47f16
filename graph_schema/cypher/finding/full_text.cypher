// Nodes whose names the full-text index finds by some words: candidates, which are then compared.
// $index: string; name of the full-text index
// $query: string; words with spaces between them, `word*` for one that begins so, `word~1` for one
//   at an error of one letter
// $limit: integer
// __KEY__: the property that identifies the nodes
// returns: id
CALL db.index.fulltext.queryNodes($index, $query) YIELD node, score
WITH node, score
ORDER BY score DESC
LIMIT $limit
RETURN node.__KEY__ AS id
