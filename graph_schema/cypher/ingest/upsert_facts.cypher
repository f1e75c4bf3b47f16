// Write facts of one relation; where one is there already, the more confident source stays.
// $rows: list of maps {item_id: string, entity_id: string, confidence: float, source: string,
//   extractor: string, evidence: string}
// $run_id: string
// __RELATION__: a relation type of the domain
// returns: written
UNWIND $rows AS row
MATCH (i:Item {item_id: row.item_id})
MATCH (e:Entity {entity_id: row.entity_id})
MERGE (i)-[f:__RELATION__]->(e)
WITH f, row
WHERE f.confidence IS NULL OR f.confidence <= row.confidence
SET f.confidence = row.confidence,
    f.source = row.source,
    f.extractor = row.extractor,
    f.evidence = row.evidence,
    f.run_id = $run_id
RETURN count(f) AS written
