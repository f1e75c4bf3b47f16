// Write users who are not there, and their interactions with items that are; one that is there
// contradicts the constraint of its key. An item is looked up once for all of its interactions.
// unchanged: catalogue
// $items: list of strings, distinct; where one of them is not there, nothing is written
// $groups: list of maps {user_id: string, places: integers (positions in $items), keys: strings,
//   kinds: strings, values: floats, times: integers (milliseconds since 1970, 0 where unknown),
//   devices: strings, scenarios: strings (null where unknown)}, lists of one length
// $source: string or null; the table that they belong to, where it is complete
// returns: written
UNWIND $items AS id
MATCH (i:Item {item_id: id})
WITH collect(i) AS nodes, collect(i.item_id) AS found
WHERE found = $items
UNWIND $groups AS one
CREATE (u:User {user_id: one.user_id})
WITH u, one, nodes
UNWIND range(0, size(one.places) - 1) AS n
WITH u, one, n, nodes[one.places[n]] AS i
CREATE (u)-[x:INTERACTED {
  key: one.keys[n],
  kind: one.kinds[n],
  source: $source,
  value: one.values[n],
  device: one.devices[n],
  scenario: one.scenarios[n],
  at: CASE WHEN one.times[n] = 0 THEN null ELSE datetime({epochMillis: one.times[n]}) END
}]->(i)
RETURN count(x) AS written
