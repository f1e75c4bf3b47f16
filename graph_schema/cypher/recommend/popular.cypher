// Items with the most interactions, without those that were seen.
// $seen: list of strings
// $limit: integer
// returns: item_id, title, interactions
MATCH (i:Item)
WHERE NOT i.item_id IN $seen
WITH i, COUNT { (i)<-[:INTERACTED]-() } AS interactions
WHERE interactions > 0
RETURN i.item_id AS item_id, i.title AS title, interactions
ORDER BY interactions DESC, item_id
LIMIT $limit
