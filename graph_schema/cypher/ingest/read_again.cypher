// Have the text of items read again, though it is the same: no mark of a reading equals this one.
// unchanged: catalogue
// $items: list of strings
// returns: nothing
UNWIND $items AS id
MATCH (i:Item {item_id: id})
WHERE i.extracted IS NOT NULL
SET i.extracted = 'again'
