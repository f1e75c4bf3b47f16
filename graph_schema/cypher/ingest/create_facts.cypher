// Create facts or links of one relation that are alike, of nodes that have none: nothing is looked
// for. A node at the other end is looked up once for all of them.
// $tails: list of strings, distinct; where one of them is not there, nothing is written
// $groups: list of maps {head: string, places: integers (positions in $tails)}
// $confidence: float
// $source: string
// $extractor: string
// $evidence: string
// $run_id: string
// __HEAD__: label of the nodes that they lead from
// __HEAD_KEY__: the property that identifies them
// __RELATION__: a relation type of the domain
// __TAIL__: label of the nodes that they lead to
// __TAIL_KEY__: the property that identifies these
// returns: written
UNWIND $tails AS id
MATCH (b:__TAIL__ {__TAIL_KEY__: id})
WITH collect(b) AS nodes, collect(b.__TAIL_KEY__) AS found
WHERE found = $tails
UNWIND $groups AS one
MATCH (a:__HEAD__ {__HEAD_KEY__: one.head})
UNWIND one.places AS place
WITH a, nodes[place] AS b
CREATE (a)-[f:__RELATION__ {
  confidence: $confidence,
  source: $source,
  extractor: $extractor,
  evidence: $evidence,
  run_id: $run_id
}]->(b)
RETURN count(f) AS written
