// The facts of some items, as columns of one row.
// $items: list of strings
// returns: items (positions in $items), relations, entities, confidences, sources, extractors, evidence
UNWIND range(0, size($items) - 1) AS row
MATCH (i:Item {item_id: $items[row]})-[f]->(e:Entity)
RETURN collect(row) AS items,
       collect(type(f)) AS relations,
       collect(e.entity_id) AS entities,
       collect(coalesce(f.confidence, 1.0)) AS confidences,
       collect(coalesce(f.source, '')) AS sources,
       collect(coalesce(f.extractor, '')) AS extractors,
       collect(coalesce(f.evidence, '')) AS evidence
