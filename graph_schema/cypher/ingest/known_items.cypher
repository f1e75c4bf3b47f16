// Items that are there, in one row: rows of their own take most of the time of a large load.
// $items: list of strings
// $item_type: string, the item label of the domain
// returns: items, fit (whether each has the label)
UNWIND $items AS id
MATCH (i:Item {item_id: id})
RETURN collect(i.item_id) AS items, collect($item_type IN labels(i)) AS fit
