// Every model that was ever published, the live one first.
// returns: model_id, live, slot, ready (1 where vectors and suggestions are whole), suggests (0
//   where there are none), metrics, shares, settings, created_at, live_at (milliseconds since 1970)
MATCH (m:Model)
RETURN m.model_id AS model_id,
       coalesce(m.live, 0) AS live,
       m.slot AS slot,
       coalesce(m.ready, 0) AS ready,
       coalesce(m.suggests, 1) AS suggests,
       m.metrics AS metrics,
       m.shares AS shares,
       m.settings AS settings,
       m.created_at.epochMillis AS created_at,
       m.live_at.epochMillis AS live_at
ORDER BY live DESC, created_at DESC, model_id
