// Keep what a person states of facts: whether an item has a relation to an entity.
// unchanged: catalogue
// $rows: list of maps {correction_id: string, item_id: string, relation: string, entity_id: string,
//   entity_type: string, name: string, verdict: string, instead: string, evidence: string}
// $at: datetime
// returns: kept
UNWIND $rows AS row
MERGE (c:Correction {correction_id: row.correction_id})
SET c.item_id = row.item_id, c.relation = row.relation, c.entity_id = row.entity_id,
    c.entity_type = row.entity_type, c.name = row.name, c.verdict = row.verdict,
    c.instead = row.instead, c.evidence = row.evidence, c.at = $at
RETURN count(c) AS kept
