// Note how many relations the kept node of a merge has after it.
// $merge_id: string
// $kept: string; its id
// __LABEL__: label of the node
// __KEY__: the property that identifies it
// returns: ties
MATCH (m:Merge {merge_id: $merge_id})
MATCH (b:__LABEL__ {__KEY__: $kept})
SET m.ties = COUNT { (b)--() }
RETURN m.ties AS ties
