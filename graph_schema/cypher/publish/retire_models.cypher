// Take the other models out of service and their vector property from them; one transaction with publish/go_live.
// $model_id: string; the model that goes live
// $slot: string; the vector property that it must hold
// returns: nothing
MATCH (n:Model {model_id: $model_id})
WHERE n.slot = $slot
MATCH (m:Model)
WHERE m.model_id <> $model_id AND m.live = 1
SET m.live = 0, m.slot = null
