// Put a model into service, if it still holds its vector property.
// unchanged: catalogue
// $model_id: string
// $slot: string; the vector property
// $at: datetime
// returns: model_id; no row when another model claimed the property
MATCH (m:Model {model_id: $model_id})
WHERE m.slot = $slot
SET m.live = 1, m.ready = 1, m.suggests = 1, m.live_at = $at
RETURN m.model_id AS model_id
