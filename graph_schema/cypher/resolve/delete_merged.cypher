// Delete a node that was merged, unless it has got more relations than were read of it: then it
// stays, and is merged again.
// __LABEL__: label of the node
// __KEY__: the property that identifies it
// $merged: string; its id
// $left: integer; how many relations are left
// returns: deleted
MATCH (a:__LABEL__ {__KEY__: $merged})
WHERE COUNT { (a)--() } = $left
DETACH DELETE a
RETURN count(*) AS deleted
