// Move back what users did with an item before it was merged.
// $from: string; id of the kept item
// $to: string; id of the item that was merged
// $merge_id: string
// returns: moved
MATCH (a:Item {item_id: $from})
MATCH (b:Item {item_id: $to})
MATCH (u:User)-[x:INTERACTED]->(a)
WHERE $merge_id IN x.merged_from
WITH b, u, collect(x) AS every
UNWIND every AS x
CREATE (u)-[y:INTERACTED]->(b)
SET y = properties(x),
    y.key = replace(x.key, '#' + $merge_id, ''),
    y.merged_from = CASE
      WHEN size(x.merged_from) > 1 THEN [m IN x.merged_from WHERE m <> $merge_id]
    END
DELETE x
RETURN count(y) AS moved
