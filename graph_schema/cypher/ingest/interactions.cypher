// What some users did with some items, as columns of one row. Only items that are asked for come
// back, for all that thousands of users ever did would not fit into one row.
// $users: list of strings
// $items: list of maps; for each user the ids of the items to look for, as keys, which are found
//   at once where a list would be searched for each relation
// returns: users (positions in $users), items, keys, values, devices, scenarios, sources
UNWIND range(0, size($users) - 1) AS row
MATCH (u:User {user_id: $users[row]})-[x:INTERACTED]->(i:Item)
WHERE $items[row][i.item_id] IS NOT NULL
RETURN collect(row) AS users,
       collect(i.item_id) AS items,
       collect(coalesce(x.key, '')) AS keys,
       collect(coalesce(x.value, 1.0)) AS values,
       collect(coalesce(x.device, '')) AS devices,
       collect(coalesce(x.scenario, '')) AS scenarios,
       collect(coalesce(x.source, '')) AS sources
