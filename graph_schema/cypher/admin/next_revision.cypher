// Count a change of the catalogue, in the transaction that makes it. The first number is a time, so
// that a graph that was emptied does not come to a number that it had before.
// unchanged: catalogue
// $name: string
// $now: integer; milliseconds since 1970
// returns: number
MERGE (r:Revision {name: $name})
SET r.number = coalesce(r.number, $now) + 1
RETURN r.number AS number
