// How many relations some entities have to nodes of one label, as columns of one row.
// $entities: list of strings
// __OTHER__: label of the nodes at the other end
// __RELATIONS__: relation types, with | between
// returns: entities, degrees
UNWIND $entities AS id
MATCH (e:Entity {entity_id: id})
WITH id, COUNT { (e)-[:__RELATIONS__]-(:__OTHER__) } AS degree
RETURN collect(id) AS entities, collect(degree) AS degrees
