// Forget what was retired.
// unchanged: catalogue
// $ids: list of strings
// returns: dropped
UNWIND $ids AS id
MATCH (r:Retired {retired_id: id})
DETACH DELETE r
RETURN count(*) AS dropped
