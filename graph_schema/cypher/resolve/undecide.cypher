// Forget decisions.
// unchanged: catalogue
// $ids: list of strings
// returns: nothing
UNWIND $ids AS id
MATCH (d:Decision {decision_id: id})
DELETE d
