// Some of the relations that leave one node that has many, in the order of type, end and mark, as
// columns of one row.
// __LABEL__: label
// __KEY__: the property that identifies its nodes
// $node: string; key of the node
// $identified: map; the property that identifies the nodes of each label
// $skip: integer; how many the pages before held
// $limit: integer
// returns: types, labels (empty where the other end is no node of kgrec), tails (keys of the other
//   ends), properties
MATCH (a:__LABEL__ {__KEY__: $node})-[r]->(b)
WITH r, b, head([l IN labels(b) WHERE $identified[l] IS NOT NULL]) AS label
WITH r, label, coalesce(b[$identified[label]], '') AS tail
ORDER BY type(r), label, tail, coalesce(r.key, ''), elementId(r)
SKIP $skip
LIMIT $limit
RETURN collect(type(r)) AS types,
       collect(coalesce(label, '')) AS labels,
       collect(tail) AS tails,
       collect(r {.*, at: toString(r.at)}) AS properties
