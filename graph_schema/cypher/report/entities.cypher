// What a report looks at of some entities, as columns of one row.
// $keys: list of strings; ids
// returns: ids, names, labels, items (how many facts lead to each)
UNWIND $keys AS key
MATCH (e:Entity {entity_id: key})
WITH e, COUNT { (e)<--(:Item) } AS items
RETURN collect(e.entity_id) AS ids,
       collect(coalesce(e.name, '')) AS names,
       collect(labels(e)) AS labels,
       collect(items) AS items
