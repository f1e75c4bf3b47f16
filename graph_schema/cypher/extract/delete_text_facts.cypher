// Withdraw what a text of some items said before it is read again.
// $items: list of strings
// $source: string; the text
// returns: deleted
UNWIND $items AS id
MATCH (i:Item {item_id: id})-[f]->(:Entity)
WHERE f.source = $source
DELETE f
RETURN count(f) AS deleted
