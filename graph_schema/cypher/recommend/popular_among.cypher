// How many interactions some items have that are available; others have no row.
// $items: list of strings
// $label: string or null; only items that carry this label
// $first: datetime; items must be available at this moment,
// $last: datetime; and at this one, which is not before it
// returns: item_id, title, interactions
UNWIND $items AS id
MATCH (i:Item {item_id: id})
WHERE ($label IS NULL OR $label IN labels(i))
  AND coalesce(i.available, true)
  AND coalesce(i.available_from <= $first, true)
  AND coalesce(i.expires_at > $last, true)
RETURN i.item_id AS item_id, i.title AS title, COUNT { (i)<-[:INTERACTED]-() } AS interactions
