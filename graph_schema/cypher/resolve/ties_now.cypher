// How many relations a node has.
// __LABEL__: label of the node
// __KEY__: the property that identifies it
// $node: string; its id
// returns: ties
MATCH (b:__LABEL__ {__KEY__: $node})
RETURN COUNT { (b)--() } AS ties
