// Set properties of items; those that are not named stay.
// $rows: list of maps {item_id: string, properties: map}
// returns: written
UNWIND $rows AS row
MATCH (i:Item {item_id: row.item_id})
SET i += row.properties
RETURN count(i) AS written
