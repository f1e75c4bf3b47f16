// Replace what facts or links of one type that lead to a node say of themselves.
// __LABEL__: label of the node
// __KEY__: the property that identifies it
// __RELATION__: their type
// __OTHER__: label of the nodes at the other end
// __OTHER_KEY__: the property that identifies these
// $node: string; id of the node
// $rows: list of maps {other: string, properties: map, source: string or null (only where this is
//   still the source), confidence: float (and this its confidence)}
// returns: replaced
MATCH (a:__LABEL__ {__KEY__: $node})
UNWIND $rows AS row
MATCH (x:__OTHER__ {__OTHER_KEY__: row.other})
MATCH (a)<-[r:__RELATION__]-(x)
WHERE coalesce(r.source, '') = coalesce(row.source, '') AND coalesce(r.confidence, 1.0) = row.confidence
SET r = row.properties
RETURN count(r) AS replaced
