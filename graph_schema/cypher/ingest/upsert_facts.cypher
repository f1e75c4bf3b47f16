// Write facts or links of one relation; where one is there already, the more confident source stays.
// $rows: list of maps {head: string, tail: string, confidence: float, source: string,
//   extractor: string, evidence: string}
// $run_id: string
// __HEAD__: label of the nodes that they lead from
// __HEAD_KEY__: the property that identifies them
// __RELATION__: a relation type of the domain
// __TAIL__: label of the nodes that they lead to
// __TAIL_KEY__: the property that identifies these
// returns: written
UNWIND $rows AS row
MATCH (a:__HEAD__ {__HEAD_KEY__: row.head})
MATCH (b:__TAIL__ {__TAIL_KEY__: row.tail})
MERGE (a)-[f:__RELATION__]->(b)
WITH f, row
WHERE f.confidence IS NULL OR f.confidence <= row.confidence
SET f.confidence = row.confidence,
    f.source = row.source,
    f.extractor = row.extractor,
    f.evidence = row.evidence,
    f.run_id = $run_id
RETURN count(f) AS written
