// The interactions of some users, as columns of one row.
// $users: list of strings
// returns: users (positions in $users), items, kinds, values, times (milliseconds since 1970),
//   devices, scenarios (empty where unknown)
UNWIND range(0, size($users) - 1) AS row
MATCH (u:User {user_id: $users[row]})-[x:INTERACTED]->(i:Item)
RETURN collect(row) AS users,
       collect(i.item_id) AS items,
       collect(x.kind) AS kinds,
       collect(coalesce(x.value, 1.0)) AS values,
       collect(coalesce(x.at.epochMillis, 0)) AS times,
       collect(coalesce(x.device, '')) AS devices,
       collect(coalesce(x.scenario, '')) AS scenarios
