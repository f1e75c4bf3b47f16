// Facts of some items, as columns of one row; an id that the graph lacks has none.
// $items: list of strings; ids
// returns: rows (positions in $items), relations, entities (ids)
UNWIND range(0, size($items) - 1) AS row
MATCH (i:Item {item_id: $items[row]})-[f]->(e:Entity)
RETURN collect(row) AS rows, collect(type(f)) AS relations, collect(e.entity_id) AS entities
