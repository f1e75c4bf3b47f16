// What some users did, as columns of one row.
// $users: list of strings
// returns: users, items, keys, kinds, values, times (milliseconds since 1970), devices, scenarios,
//   sources (empty where unknown)
UNWIND $users AS id
MATCH (u:User {user_id: id})-[x:INTERACTED]->(i:Item)
RETURN collect(id) AS users,
       collect(i.item_id) AS items,
       collect(x.key) AS keys,
       collect(x.kind) AS kinds,
       collect(coalesce(x.value, 1.0)) AS values,
       collect(coalesce(x.at.epochMillis, 0)) AS times,
       collect(coalesce(x.device, '')) AS devices,
       collect(coalesce(x.scenario, '')) AS scenarios,
       collect(coalesce(x.source, '')) AS sources
