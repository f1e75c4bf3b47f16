// Name the items that were folded into a model, if it still holds its vector property and nobody
// else has named others.
// unchanged: catalogue
// $model_id: string
// $slot: string; the vector property
// $folded: string; the name
// $before: string; the name that is there, '' for none
// returns: model_id; no row where nothing was changed
MATCH (m:Model {model_id: $model_id})
WHERE m.slot = $slot AND coalesce(m.folded, '') = $before
SET m.folded = $folded
RETURN m.model_id AS model_id
