// What the graph knows of an item: its facts, grouped by relation.
// $item_id: string
// $limit: integer
// returns: relation, entity_id, name, labels, confidence, source, extractor, evidence
MATCH (i:Item {item_id: $item_id})-[f]->(e:Entity)
RETURN type(f) AS relation,
       e.entity_id AS entity_id,
       coalesce(e.name, '') AS name,
       labels(e) AS labels,
       coalesce(f.confidence, 1.0) AS confidence,
       coalesce(f.source, '') AS source,
       coalesce(f.extractor, '') AS extractor,
       coalesce(f.evidence, '') AS evidence
ORDER BY relation, confidence DESC, name, entity_id
LIMIT $limit
