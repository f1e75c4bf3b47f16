// Move the facts or links of one type back that a merge moved, as they are by now.
// __LABEL__: label of both nodes
// __KEY__: the property that identifies them
// __RELATION__: their type
// __OTHER__: label of the nodes at the other end
// $from: string; id of the kept node
// $to: string; id of the node that was merged
// $merge_id: string
// returns: moved
MATCH (a:__LABEL__ {__KEY__: $from})
MATCH (b:__LABEL__ {__KEY__: $to})
MATCH (a)<-[r:__RELATION__]-(x:__OTHER__)
WHERE $merge_id IN r.merged_from
WITH b, x, collect(r) AS every
UNWIND every AS r
CREATE (b)<-[n:__RELATION__]-(x)
SET n = properties(r),
    n.merged_from = CASE
      WHEN size(r.merged_from) > 1 THEN [m IN r.merged_from WHERE m <> $merge_id]
    END
DELETE r
RETURN count(n) AS moved
