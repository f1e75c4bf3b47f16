// Write interactions that users who are there have not had yet, with items that are there. Of a user
// who has one of them already nothing is written; each user is locked before that is looked for.
// unchanged: catalogue
// $items: list of strings, distinct; where one of them is not there, nothing is written
// $groups: as of `create_interactions`, with `new`: a map whose keys are the item, '|' and the key
//   of each interaction
// $source: string or null; the table that they belong to, where it is complete
// returns: written
UNWIND $items AS id
MATCH (i:Item {item_id: id})
WITH collect(i) AS nodes, collect(i.item_id) AS found
WHERE found = $items
UNWIND $groups AS one
MATCH (u:User {user_id: one.user_id})
SET u.user_id = one.user_id
WITH nodes, u, one
WHERE size([(u)-[x:INTERACTED]->(i:Item) WHERE one.new[i.item_id + '|' + coalesce(x.key, '')] | 1]) = 0
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
