// Everything that some nodes hold themselves.
// $keys: list of strings; ids
// __LABEL__: label of the nodes
// __KEY__: the property that identifies them
// returns: id, labels, values (all properties)
UNWIND $keys AS id
MATCH (n:__LABEL__ {__KEY__: id})
RETURN id, labels(n) AS labels, properties(n) AS values
