// Write the retrieval vectors of some items, if the model still holds the vector property.
// unchanged: catalogue
// $rows: list of maps {item_id: string, vector: list of floats}
// $model_id: string
// $slot: string; the vector property, the same as in the slot
// __SLOT__: vector_a or vector_b
// returns: written
MATCH (m:Model {model_id: $model_id})
WHERE m.slot = $slot
UNWIND $rows AS row
MATCH (i:Item {item_id: row.item_id})
SET i.__SLOT__ = row.vector
RETURN count(i) AS written
