// All that a query reads of the graph, as one row: the live model, the revision of the catalogue,
// and what a user did, newest first. Where there is no such model, revision or user it is null.
// $user_id: string
// $revision: string; name of the revision
// returns: model_id, slot, folded (name of the items folded into it), revision, user_id, items, kinds, values, times (milliseconds since 1970)
OPTIONAL MATCH (m:Model {live: 1})
WITH m LIMIT 1
OPTIONAL MATCH (r:Revision {name: $revision})
OPTIONAL MATCH (u:User {user_id: $user_id})
OPTIONAL MATCH (u)-[x:INTERACTED]->(i:Item)
RETURN m.model_id AS model_id,
       m.slot AS slot,
       m.folded AS folded,
       r.number AS revision,
       u.user_id AS user_id,
       collect(i.item_id) AS items,
       collect(x.kind) AS kinds,
       collect(CASE WHEN i IS NULL THEN null ELSE coalesce(x.value, 1.0) END) AS values,
       collect(CASE WHEN i IS NULL THEN null ELSE coalesce(x.at.epochMillis, 0) END) AS times
