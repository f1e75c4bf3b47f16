// Items that a relation ties to an entity of some name, whatever its case.
// $relations: list of strings; relation types that count
// $names: list of strings; in lower case
// returns: items
MATCH (e:Entity)
WHERE toLower(e.name) IN $names
MATCH (i:Item)-[f]->(e)
WHERE type(f) IN $relations
RETURN collect(DISTINCT i.item_id) AS items
