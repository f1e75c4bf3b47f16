// The relations that leave a node which is to be merged into another, without interactions, each
// with that of the other node which is the same but for the end.
// __LABEL__: label of both nodes
// __KEY__: the property that identifies them
// $merged: string; id of the node
// $kept: string; id of the other node
// $own: list of strings; relation types of kgrec itself, of which none is the same
// $identified: map; the property that identifies the nodes of each label
// returns: type, label (empty where the other end is no node of kgrec), other (its key), mine (properties),
//   theirs (those of the same; null where the other node has none)
MATCH (a:__LABEL__ {__KEY__: $merged})-[r]->(x)
WHERE type(r) <> 'INTERACTED'
MATCH (b:__LABEL__ {__KEY__: $kept})
OPTIONAL MATCH (b)-[s]->(x)
WHERE type(s) = type(r) AND NOT type(r) IN $own
WITH r, s, x, head([l IN labels(x) WHERE $identified[l] IS NOT NULL]) AS label
RETURN type(r) AS type,
       coalesce(label, '') AS label,
       coalesce(x[$identified[label]], '') AS other,
       properties(r) AS mine,
       properties(s) AS theirs
