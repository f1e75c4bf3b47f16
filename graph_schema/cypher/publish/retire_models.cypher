// Take the other models out of service; they keep their vector property until another model claims
// it, so that they can go live again at once. One transaction with publish/go_live.
// unchanged: catalogue
// $model_id: string; the model that goes live
// $slot: string; the vector property that it must hold
// returns: nothing
MATCH (n:Model {model_id: $model_id})
WHERE n.slot = $slot
MATCH (m:Model)
WHERE m.model_id <> $model_id AND m.live = 1
SET m.live = 0, m.ready = 1, m.live_at = coalesce(m.live_at, m.created_at)
