// What users did with some items, as columns of one row.
// $items: list of strings
// returns: users, items, keys, kinds, values, times (milliseconds since 1970), devices, scenarios,
//   sources (empty where unknown)
UNWIND $items AS id
MATCH (u:User)-[x:INTERACTED]->(i:Item {item_id: id})
RETURN collect(u.user_id) AS users,
       collect(id) AS items,
       collect(x.key) AS keys,
       collect(x.kind) AS kinds,
       collect(coalesce(x.value, 1.0)) AS values,
       collect(coalesce(x.at.epochMillis, 0)) AS times,
       collect(coalesce(x.device, '')) AS devices,
       collect(coalesce(x.scenario, '')) AS scenarios,
       collect(coalesce(x.source, '')) AS sources
