// What persons stated of facts, in the order of the ids.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: correction_id, item_id, relation, entity_id, entity_type, name, verdict, instead, evidence
MATCH (c:Correction)
WHERE c.correction_id > $after
RETURN c.correction_id AS correction_id, c.item_id AS item_id, c.relation AS relation,
       c.entity_id AS entity_id, c.entity_type AS entity_type, c.name AS name,
       c.verdict AS verdict, c.instead AS instead, c.evidence AS evidence
ORDER BY correction_id
LIMIT $limit
