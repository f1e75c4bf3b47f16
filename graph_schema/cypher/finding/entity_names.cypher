// The names of some entities, as columns of one row; an id that the graph lacks is left out.
// $ids: list of strings
// returns: ids, names, labels
UNWIND $ids AS id
MATCH (e:Entity {entity_id: id})
RETURN collect(e.entity_id) AS ids,
       collect(coalesce(e.name, '')) AS names,
       collect(labels(e)) AS labels
