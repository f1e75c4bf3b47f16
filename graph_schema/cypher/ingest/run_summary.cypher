// What a run noted when it came to its end, or last.
// $run_id: string
// returns: summary (JSON)
MATCH (r:Run {run_id: $run_id})
WHERE r.summary IS NOT NULL
RETURN r.summary AS summary
