// Release a vector property of every other model that is not live; one transaction with
// publish/upsert_model. A model that loses it can neither write vectors nor go live.
// unchanged: catalogue
// $model_id: string; the model that claims it
// $slot: string; the vector property
// returns: nothing
MATCH (m:Model)
WHERE m.model_id <> $model_id AND m.slot = $slot
SET m.slot = null, m.ready = 0
