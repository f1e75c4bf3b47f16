// What a run retired, of one kind, in the order of the ids.
// $run_id: string
// $kind: string
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: retired_id, content (JSON)
MATCH (r:Retired {run_id: $run_id, kind: $kind})
WHERE r.retired_id > $after
RETURN r.retired_id AS retired_id, r.content AS content
ORDER BY retired_id
LIMIT $limit
