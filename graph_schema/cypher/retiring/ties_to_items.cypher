// Facts and links that lead to some items, as columns of one row.
// $items: list of strings
// __HEAD__: label of the nodes that they lead from
// __HEAD_KEY__: the property that identifies them
// __RELATIONS__: relation types, with | between
// returns: heads, relations, items, confidences, sources, extractors, evidence
UNWIND $items AS id
MATCH (a:__HEAD__)-[f:__RELATIONS__]->(i:Item {item_id: id})
RETURN collect(a.__HEAD_KEY__) AS heads,
       collect(type(f)) AS relations,
       collect(id) AS items,
       collect(coalesce(f.confidence, 1.0)) AS confidences,
       collect(coalesce(f.source, '')) AS sources,
       collect(coalesce(f.extractor, '')) AS extractors,
       collect(coalesce(f.evidence, '')) AS evidence
