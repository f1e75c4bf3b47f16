// What the graph holds of some interactions, as columns of one row. Only what is asked for comes
// back, for all that thousands of users ever did would not fit into one row. Users come first by
// themselves, or an engine whose statistics are old may begin at the items.
// $users: list of strings
// $wanted: list of maps, one for each user: the item, '|' and the key of each interaction, as keys,
//   which are found at once where a list would be searched, with the number that stands for it
// returns: places (numbers of $wanted), values, devices, scenarios, sources
UNWIND range(0, size($users) - 1) AS row
MATCH (u:User {user_id: $users[row]})
WITH row, u
MATCH (u)-[x:INTERACTED]->(i:Item)
WITH x, $wanted[row][i.item_id + '|' + coalesce(x.key, '')] AS place
WHERE place IS NOT NULL
RETURN collect(place) AS places,
       collect(coalesce(x.value, 1.0)) AS values,
       collect(coalesce(x.device, '')) AS devices,
       collect(coalesce(x.scenario, '')) AS scenarios,
       collect(coalesce(x.source, '')) AS sources
