// Remove some items from all stored recommendations: they are hidden in the same transaction.
// unchanged: catalogue
// $items: list of strings
// returns: nothing
UNWIND $items AS id
MATCH (:User)-[r:RECOMMENDED]->(i:Item {item_id: id})
DELETE r
