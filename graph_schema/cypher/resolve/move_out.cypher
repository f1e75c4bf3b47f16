// Move the facts or links of one type that leave a node to another that has not the same. They keep
// what they say of themselves, and name the merge.
// __LABEL__: label of both nodes
// __KEY__: the property that identifies them
// __RELATION__: their type
// __OTHER__: label of the nodes at the other end
// $from: string; id of the node
// $to: string; id of the other one
// $merge_id: string
// returns: moved
MATCH (a:__LABEL__ {__KEY__: $from})
MATCH (b:__LABEL__ {__KEY__: $to})
MATCH (a)-[r:__RELATION__]->(x:__OTHER__)
WHERE x <> a AND x <> b AND NOT EXISTS { (b)-[:__RELATION__]->(x) }
WITH b, x, collect(r) AS every
UNWIND every AS r
CREATE (b)-[n:__RELATION__]->(x)
SET n = properties(r), n.merged_from = coalesce(r.merged_from, []) + $merge_id
DELETE r
RETURN count(n) AS moved
