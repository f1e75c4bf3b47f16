// Every model that was ever published, the live one first.
// returns: model_id, live, slot, metrics, created_at (milliseconds since 1970)
MATCH (m:Model)
RETURN m.model_id AS model_id,
       coalesce(m.live, 0) AS live,
       m.slot AS slot,
       m.metrics AS metrics,
       m.created_at.epochMillis AS created_at
ORDER BY live DESC, created_at DESC, model_id
