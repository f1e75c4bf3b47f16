// Facts and links from some nodes to the nodes of one label, as columns of one row.
// $heads: list of strings; keys of the nodes
// __HEAD__: label of the nodes
// __HEAD_KEY__: the property that identifies them
// __RELATIONS__: relation types, with | between
// __TAIL__: label of the nodes at the other end
// __TAIL_KEY__: the property that identifies these
// returns: heads (positions in $heads), relations, tails, confidences, sources, extractors, evidence
UNWIND range(0, size($heads) - 1) AS row
MATCH (a:__HEAD__ {__HEAD_KEY__: $heads[row]})-[f:__RELATIONS__]->(b:__TAIL__)
RETURN collect(row) AS heads,
       collect(type(f)) AS relations,
       collect(b.__TAIL_KEY__) AS tails,
       collect(coalesce(f.confidence, 1.0)) AS confidences,
       collect(coalesce(f.source, '')) AS sources,
       collect(coalesce(f.extractor, '')) AS extractors,
       collect(coalesce(f.evidence, '')) AS evidence
