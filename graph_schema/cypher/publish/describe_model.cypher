// Set the properties of a model from its record, where they differ.
// unchanged: catalogue
// $model_id: string
// $metrics: string; JSON
// $shares: string; JSON
// $settings: string; JSON
// returns: nothing
MATCH (m:Model {model_id: $model_id})
WHERE coalesce(m.metrics, '') <> $metrics
   OR coalesce(m.shares, '') <> $shares
   OR coalesce(m.settings, '') <> $settings
SET m.metrics = $metrics, m.shares = $shares, m.settings = $settings
