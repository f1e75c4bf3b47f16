// Take a vector property from every other model that is not live; one transaction with
// publish/upsert_model. Who loses it can neither write vectors nor go live.
// $model_id: string; the model that takes it
// $slot: string; the vector property
// returns: nothing
MATCH (m:Model)
WHERE m.model_id <> $model_id AND m.slot = $slot
SET m.slot = null
