// All interactions of some users, as columns of one row: quicker than `interactions`, which finds
// some among many. The user, and what the item and the key are together, name each.
// $users: list of strings
// $most: integer, so many at most
// returns: rows (positions in $users), names (the item, '|' and the key), values,
//   more (devices, scenarios and sources, where there are any)
UNWIND range(0, size($users) - 1) AS row
MATCH (u:User {user_id: $users[row]})
WITH row, u
MATCH (u)-[x:INTERACTED]->(i:Item)
WITH row, x, i LIMIT $most
RETURN collect(row) AS rows,
       collect(i.item_id + '|' + coalesce(x.key, '')) AS names,
       collect(coalesce(x.value, 1.0)) AS values,
       collect(coalesce(x.device, x.scenario, x.source)) AS more
