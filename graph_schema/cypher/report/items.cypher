// What a report looks at of some items, as columns of one row.
// $keys: list of strings; ids
// $properties: list of strings; the properties to look at
// returns: ids, titles, texts (how the descriptions begin), values (a list of values for each item),
//   facts, interactions (how many of each)
UNWIND $keys AS key
MATCH (i:Item {item_id: key})
WITH i, COUNT { (i)-->(:Entity) } AS facts, COUNT { (i)<-[:INTERACTED]-(:User) } AS interactions
RETURN collect(i.item_id) AS ids,
       collect(coalesce(i.title, '')) AS titles,
       collect(substring(coalesce(i.description, ''), 0, 120)) AS texts,
       collect([p IN $properties | i[p]]) AS values,
       collect(facts) AS facts,
       collect(interactions) AS interactions
