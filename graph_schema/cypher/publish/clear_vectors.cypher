// Remove the vectors of some items from a property.
// unchanged: catalogue
// $items: list of strings
// __SLOT__: vector_a or vector_b
// returns: nothing
UNWIND $items AS id
MATCH (i:Item {item_id: id})
REMOVE i.__SLOT__
