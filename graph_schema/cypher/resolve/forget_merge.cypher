// Forget a merge that is undone, and count the change.
// unchanged: catalogue
// $merge_id: string
// $revision: string; name of the revision that counts the changes
// returns: number
MATCH (m:Merge {merge_id: $merge_id})
DELETE m
WITH count(*) AS gone
MATCH (r:Revision {name: $revision})
SET r.number = r.number + gone
RETURN r.number AS number
