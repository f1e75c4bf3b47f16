// What persons stated of the facts of some items.
// $items: list of strings
// returns: item_id, relation, entity_id, entity_type, name, verdict, instead, evidence
MATCH (c:Correction)
WHERE c.item_id IN $items
RETURN c.item_id AS item_id, c.relation AS relation, c.entity_id AS entity_id,
       c.entity_type AS entity_type, c.name AS name, c.verdict AS verdict, c.instead AS instead,
       c.evidence AS evidence
