// One item; no row when there is none of this id.
// $item_id: string
// $properties: list of strings; the properties of the domains to read beside the shared ones
// returns: item_id, title, description, labels, values (in the order of $properties), interactions
MATCH (i:Item {item_id: $item_id})
RETURN i.item_id AS item_id,
       coalesce(i.title, i.item_id) AS title,
       coalesce(i.description, '') AS description,
       labels(i) AS labels,
       [p IN $properties | i[p]] AS values,
       COUNT { (i)<-[:INTERACTED]-(:User) } AS interactions
