// Note that models without a vector property have no suggestions any more.
// unchanged: catalogue
// $models: list of strings
// returns: nothing
MATCH (m:Model)
WHERE m.model_id IN $models AND m.slot IS NULL
SET m.suggests = 0
