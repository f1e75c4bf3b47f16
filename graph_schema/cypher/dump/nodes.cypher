// Everything that some nodes hold, as columns of one row.
// __LABEL__: label
// __KEY__: the property that identifies its nodes
// $keys: list of strings
// returns: labels, properties
UNWIND $keys AS key
MATCH (n:__LABEL__ {__KEY__: key})
RETURN collect(labels(n)) AS labels, collect(properties(n)) AS properties
