// How many interactions there are of each kind, of how many users and items, and when.
// returns: kind, interactions, users, items, first, last
MATCH (u:User)-[x:INTERACTED]->(i:Item)
RETURN coalesce(x.kind, '') AS kind,
       count(x) AS interactions,
       count(DISTINCT u.user_id) AS users,
       count(DISTINCT i.item_id) AS items,
       min(x.at) AS first,
       max(x.at) AS last
ORDER BY interactions DESC, kind
