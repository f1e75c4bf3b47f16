// Note a merge, with all that is needed to undo it, and count the change.
// $merge_id: string
// $properties: map; the other properties of the merge
// $at: datetime
// $revision: string; name of the revision that counts the changes
// $now: integer; milliseconds since 1970
// returns: number
MERGE (r:Revision {name: $revision})
SET r.number = coalesce(r.number, $now) + 1
WITH r
CREATE (m:Merge {merge_id: $merge_id})
SET m += $properties, m.at = $at, m.number = r.number
RETURN r.number AS number
