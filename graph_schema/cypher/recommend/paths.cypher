// Every path of two facts from an item of a history over an entity to another item.
// $history: list of strings
// $items: list of strings; the items that the paths lead to
// $max_degree: integer; entities of more items than these say too little
// returns: item_id, relation, confidence, evidence, source, entity_id, entity, labels, degree,
//   history_id, history_relation, history_confidence, history_evidence, history_source
UNWIND $items AS id
MATCH (i:Item {item_id: id})-[f]->(e:Entity)
WITH i, f, e, COUNT { (e)<--(:Item) } AS degree
WHERE degree <= $max_degree
MATCH (e)<-[g]-(h:Item)
WHERE h.item_id IN $history AND h.item_id <> i.item_id
RETURN i.item_id AS item_id,
       type(f) AS relation,
       coalesce(f.confidence, 1.0) AS confidence,
       coalesce(f.evidence, '') AS evidence,
       coalesce(f.source, '') AS source,
       e.entity_id AS entity_id,
       coalesce(e.name, '') AS entity,
       labels(e) AS labels,
       degree,
       h.item_id AS history_id,
       type(g) AS history_relation,
       coalesce(g.confidence, 1.0) AS history_confidence,
       coalesce(g.evidence, '') AS history_evidence,
       coalesce(g.source, '') AS history_source
