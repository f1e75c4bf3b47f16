// The relations that leave some nodes, as columns of one row. Times of relations come as text, which
// a client reads in a twentieth of the time of a time.
// __LABEL__: label
// __KEY__: the property that identifies its nodes
// $keys: list of strings; nodes that they leave
// $identified: map; the property that identifies the nodes of each label
// returns: heads (positions in $keys), types, labels (empty where the other end is no node of
//   kgrec), tails (keys of the other ends), properties
UNWIND range(0, size($keys) - 1) AS row
MATCH (a:__LABEL__ {__KEY__: $keys[row]})-[r]->(b)
WITH row, r, b, head([l IN labels(b) WHERE $identified[l] IS NOT NULL]) AS label
RETURN collect(row) AS heads,
       collect(type(r)) AS types,
       collect(coalesce(label, '')) AS labels,
       collect(coalesce(b[$identified[label]], '')) AS tails,
       collect(r {.*, at: toString(r.at)}) AS properties
