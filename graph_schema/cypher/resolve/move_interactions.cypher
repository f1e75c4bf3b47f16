// Move what users did with an item to another one. An interaction whose key the user has with the
// other one already gets a key of its own.
// $from: string; id of the item
// $to: string; id of the other one
// $merge_id: string
// returns: moved
MATCH (a:Item {item_id: $from})
MATCH (b:Item {item_id: $to})
MATCH (u:User)-[x:INTERACTED]->(a)
WITH b, u, x, EXISTS { (u)-[:INTERACTED {key: x.key}]->(b) } AS used
WITH b, u, collect({x: x, used: used}) AS every
UNWIND every AS one
WITH b, u, one.x AS x, one.used AS used
CREATE (u)-[y:INTERACTED]->(b)
SET y = properties(x),
    y.merged_from = coalesce(x.merged_from, []) + $merge_id,
    y.key = CASE WHEN used THEN x.key + '#' + $merge_id ELSE x.key END
DELETE x
RETURN count(y) AS moved
