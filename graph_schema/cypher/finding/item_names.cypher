// The names of some items, as columns of one row; an id that the graph lacks is left out.
// $ids: list of strings
// returns: ids, names (the id of an item without a title), labels
UNWIND $ids AS id
MATCH (i:Item {item_id: id})
RETURN collect(i.item_id) AS ids,
       collect(coalesce(i.title, i.item_id)) AS names,
       collect(labels(i)) AS labels
