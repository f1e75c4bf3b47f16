// Create relations of one type that lead to a node, as they were before a merge.
// __LABEL__: label of the node
// __KEY__: the property that identifies it
// __RELATION__: their type
// __OTHER__: label of the nodes at the other end
// __OTHER_KEY__: the property that identifies these
// $node: string; id of the node
// $rows: list of maps {other: string, properties: map}
// returns: created
MATCH (a:__LABEL__ {__KEY__: $node})
UNWIND $rows AS row
MATCH (x:__OTHER__ {__OTHER_KEY__: row.other})
CREATE (a)<-[r:__RELATION__]-(x)
SET r = row.properties
RETURN count(r) AS created
