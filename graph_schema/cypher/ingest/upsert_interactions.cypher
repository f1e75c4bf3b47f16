// Write interactions of users and items that are there; one for each user, item and key.
// unchanged: catalogue
// $groups: list of maps {user_id: string, items: strings, keys: strings, kinds: strings,
//   values: floats, times: integers (milliseconds since 1970, 0 where unknown), devices: strings,
//   scenarios: strings (empty where unknown)}, lists of one length
// $source: string or null; the table that they belong to, where it is complete
// returns: written
UNWIND $groups AS one
MATCH (u:User {user_id: one.user_id})
UNWIND range(0, size(one.items) - 1) AS n
MATCH (i:Item {item_id: one.items[n]})
MERGE (u)-[x:INTERACTED {key: one.keys[n]}]->(i)
SET x.kind = one.kinds[n],
    x.source = coalesce($source, x.source),
    x.value = one.values[n],
    x.device = CASE WHEN one.devices[n] = '' THEN null ELSE one.devices[n] END,
    x.scenario = CASE WHEN one.scenarios[n] = '' THEN null ELSE one.scenarios[n] END,
    x.at = CASE WHEN one.times[n] = 0 THEN null ELSE datetime({epochMillis: one.times[n]}) END
RETURN count(x) AS written
