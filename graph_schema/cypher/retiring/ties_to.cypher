// Facts and links that lead to some nodes, as columns of one row.
// $tails: list of strings; ids
// __HEAD__: label of the nodes that they lead from
// __HEAD_KEY__: the property that identifies them
// __TAIL__: label of the nodes that they lead to
// __TAIL_KEY__: the property that identifies those
// __RELATIONS__: relation types, with | between
// returns: heads, relations, tails, confidences, sources, extractors, evidence
UNWIND $tails AS id
MATCH (a:__HEAD__)-[f:__RELATIONS__]->(b:__TAIL__ {__TAIL_KEY__: id})
RETURN collect(a.__HEAD_KEY__) AS heads,
       collect(type(f)) AS relations,
       collect(id) AS tails,
       collect(coalesce(f.confidence, 1.0)) AS confidences,
       collect(coalesce(f.source, '')) AS sources,
       collect(coalesce(f.extractor, '')) AS extractors,
       collect(coalesce(f.evidence, '')) AS evidence
