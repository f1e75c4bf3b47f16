// What some users did, as columns of one row.
// $users: list of strings
// returns: users (positions in $users), items, keys, values
UNWIND range(0, size($users) - 1) AS row
MATCH (u:User {user_id: $users[row]})-[x:INTERACTED]->(i:Item)
RETURN collect(row) AS users,
       collect(i.item_id) AS items,
       collect(coalesce(x.key, '')) AS keys,
       collect(coalesce(x.value, 1.0)) AS values
