// How many relations lead to some entities from the nodes of one label, as columns of one row.
// $entities: list of strings
// __OTHER__: label of the nodes that they lead from
// returns: entities, degrees
UNWIND $entities AS id
MATCH (e:Entity {entity_id: id})
WITH id, COUNT { (e)<--(:__OTHER__) } AS degree
RETURN collect(id) AS entities, collect(degree) AS degrees
