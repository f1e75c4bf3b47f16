// Create a node again that was merged, where it is not there.
// __LABELS__: labels, with : between
// __LABEL__: the one that all nodes of its kind share
// __KEY__: the property that identifies it
// $id: string
// $properties: map; all properties
// returns: created
OPTIONAL MATCH (o:__LABEL__ {__KEY__: $id})
WITH o
WHERE o IS NULL
CREATE (n:__LABELS__)
SET n = $properties
RETURN count(n) AS created
