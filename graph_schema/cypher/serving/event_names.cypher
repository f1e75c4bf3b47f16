// The summaries of loads whose sources name events, the latest first.
// $limit: integer
// returns: summary (JSON)
MATCH (r:Run)
WHERE r.stage = 'ingest' AND r.summary CONTAINS '"events": {"'
RETURN r.summary AS summary
ORDER BY r.finished_at DESC
LIMIT $limit
