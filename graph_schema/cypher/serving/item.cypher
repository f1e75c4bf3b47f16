// One item; no row when there is none of this id.
// $item_id: string
// $shared: list of strings; properties that are left out, since every item has them
// returns: item_id, title, description, labels, properties (pairs of name and value), interactions
MATCH (i:Item {item_id: $item_id})
RETURN i.item_id AS item_id,
       coalesce(i.title, i.item_id) AS title,
       coalesce(i.description, '') AS description,
       labels(i) AS labels,
       [p IN keys(i) WHERE NOT p IN $shared | [p, i[p]]] AS properties,
       COUNT { (i)<-[:INTERACTED]-(:User) } AS interactions
