// What facts and links tie some nodes to, in either direction, as columns of one row. Nodes with too
// many of them are left out, and so is all beyond a number of edges.
// $nodes: list of strings; keys of the nodes
// $max_degree: integer; nodes with more edges of these types are hubs
// $limit: integer; edges at most
// __HEAD__: label of the nodes
// __HEAD_KEY__: the property that identifies them
// __TAIL__: label of the nodes at the other end
// __TAIL_KEY__: the property that identifies these
// __TAIL_NAME__: the property that they are called by
// __RELATIONS__: relation types, with | between
// returns: nodes (positions in $nodes), outgoing, relations, others, names, labels, confidences, sources, evidence
UNWIND range(0, size($nodes) - 1) AS row
MATCH (a:__HEAD__ {__HEAD_KEY__: $nodes[row]})
WITH row, a, COUNT { (a)-[:__RELATIONS__]-(:__TAIL__) } AS degree
WHERE degree <= $max_degree
MATCH (a)-[f:__RELATIONS__]-(b:__TAIL__)
WITH row, a, f, b
LIMIT $limit
RETURN collect(row) AS nodes,
       collect(startNode(f) = a) AS outgoing,
       collect(type(f)) AS relations,
       collect(b.__TAIL_KEY__) AS others,
       collect(coalesce(b.__TAIL_NAME__, b.__TAIL_KEY__)) AS names,
       collect(labels(b)) AS labels,
       collect(coalesce(f.confidence, 1.0)) AS confidences,
       collect(coalesce(f.source, '')) AS sources,
       collect(coalesce(f.evidence, '')) AS evidence
