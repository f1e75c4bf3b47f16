// The model in service; no row when there is none.
// returns: model_id, slot, folded (name of the items folded into it)
MATCH (m:Model)
WHERE m.live = 1
RETURN m.model_id AS model_id, m.slot AS slot, m.folded AS folded
