// What is retired, by run, source and kind.
// returns: run_id, source, kind, count, at (milliseconds since 1970)
MATCH (r:Retired)
RETURN r.run_id AS run_id, r.source AS source, r.kind AS kind, sum(r.count) AS count,
       max(r.at.epochMillis) AS at
ORDER BY at, run_id, kind
