// Put a model into service, if it still holds its vector property.
// $model_id: string
// $slot: string; the vector property
// returns: model_id; no row when another model took the property
MATCH (m:Model {model_id: $model_id})
WHERE m.slot = $slot
SET m.live = 1
RETURN m.model_id AS model_id
