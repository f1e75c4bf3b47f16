// Note which text of an item was read, by which version of the extractor.
// unchanged: catalogue
// $rows: list of maps {item_id: string, extracted: string}
// returns: nothing
UNWIND $rows AS row
MATCH (i:Item {item_id: row.item_id})
SET i.extracted = row.extracted
