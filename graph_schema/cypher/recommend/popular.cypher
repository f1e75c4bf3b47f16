// Items with the most interactions, without those that were seen.
// $seen: list of strings
// $limit: integer
// $label: string or null; only items that carry this label
// $first: datetime; items must be available at this moment,
// $last: datetime; and at this one, which is not before it
// returns: item_id, title, interactions
MATCH (i:Item)
WHERE NOT i.item_id IN $seen AND ($label IS NULL OR $label IN labels(i))
  AND coalesce(i.available, true)
  AND coalesce(i.available_from <= $first, true)
  AND coalesce(i.expires_at > $last, true)
WITH i, COUNT { (i)<-[:INTERACTED]-() } AS interactions
WHERE interactions > 0
RETURN i.item_id AS item_id, i.title AS title, interactions
ORDER BY interactions DESC, item_id
LIMIT $limit
