// Note that a run begins; one that was noted before stays as it is.
// unchanged: catalogue
// $run_id: string
// $stage: string
// $started_at: datetime
// returns: finished (whether it came to its end before)
MERGE (r:Run {run_id: $run_id})
ON CREATE SET r.stage = $stage, r.started_at = $started_at
RETURN r.finished_at IS NOT NULL AS finished
