// Withdraw facts or links of one relation that their source no longer holds.
// $rows: list of maps {head: string, tail: string, source: string}
// __HEAD__: label of the nodes that they lead from
// __HEAD_KEY__: the property that identifies them
// __RELATION__: a relation type of the domain
// __TAIL__: label of the nodes that they lead to
// __TAIL_KEY__: the property that identifies these
// returns: nothing
UNWIND $rows AS row
MATCH (a:__HEAD__ {__HEAD_KEY__: row.head})-[f:__RELATION__]->(b:__TAIL__ {__TAIL_KEY__: row.tail})
WHERE f.source = row.source
DELETE f
