// Note that a run came to its end, and what it did.
// unchanged: catalogue
// $run_id: string
// $finished_at: datetime
// $summary: string; JSON
// returns: nothing
MATCH (r:Run {run_id: $run_id})
SET r.finished_at = $finished_at, r.summary = $summary
