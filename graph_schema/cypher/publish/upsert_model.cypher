// Create or update a model with the vector property it is about to fill; it does not go live.
// Items that were folded into it have no vectors there, and are folded in again.
// unchanged: catalogue
// $model_id: string
// $slot: string; the vector property
// $metrics: string; JSON
// $created_at: datetime
// returns: nothing
MERGE (m:Model {model_id: $model_id})
ON CREATE SET m.live = 0, m.created_at = $created_at
SET m.slot = $slot, m.folded = null, m.ready = 0, m.suggests = 1, m.metrics = $metrics
