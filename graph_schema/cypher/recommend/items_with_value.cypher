// Items whose property lies between two values, both included.
// $property: string
// $least: number or string
// $most: number or string
// returns: items
MATCH (i:Item)
WHERE i[$property] >= $least AND i[$property] <= $most
RETURN collect(i.item_id) AS items
