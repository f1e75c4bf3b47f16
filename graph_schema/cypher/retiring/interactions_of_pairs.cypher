// What some users did with some items, as columns of one row.
// $pairs: list of maps {user_id: string, item_id: string}, distinct
// returns: users, items, keys, kinds, values, times (milliseconds since 1970), devices, scenarios,
//   sources (empty where unknown)
UNWIND $pairs AS pair
MATCH (u:User {user_id: pair.user_id})-[x:INTERACTED]->(i:Item {item_id: pair.item_id})
RETURN collect(u.user_id) AS users,
       collect(i.item_id) AS items,
       collect(x.key) AS keys,
       collect(x.kind) AS kinds,
       collect(coalesce(x.value, 1.0)) AS values,
       collect(coalesce(x.at.epochMillis, 0)) AS times,
       collect(coalesce(x.device, '')) AS devices,
       collect(coalesce(x.scenario, '')) AS scenarios,
       collect(coalesce(x.source, '')) AS sources
