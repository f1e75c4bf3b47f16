// How many nodes are merged into others, and the number of the last change of that.
// $revision: string; name of the revision that counts the changes
// returns: merges, number
OPTIONAL MATCH (m:Merge)
WITH count(m) AS merges
OPTIONAL MATCH (r:Revision {name: $revision})
RETURN merges, coalesce(r.number, 0) AS number
