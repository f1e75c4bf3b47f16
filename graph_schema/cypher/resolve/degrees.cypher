// How many relations lead to some entities, as columns of one row.
// $nodes: list of strings; ids
// returns: ids, degrees
UNWIND $nodes AS id
MATCH (e:Entity {entity_id: id})
WITH id, COUNT { (e)<--() } AS degree
RETURN collect(id) AS ids, collect(degree) AS degrees
