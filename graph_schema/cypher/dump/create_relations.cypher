// Create relations of a dump and count them, if those before them are loaded and they are not.
// __HEAD__: label of the nodes that they lead from
// __HEAD_KEY__: the property that identifies them
// __RELATION__: their type
// __TAIL__: label of the nodes that they lead to
// __TAIL_KEY__: the property that identifies these
// $name: string; the revision that counts the rows
// $begin: integer; rows of the dump that are loaded before
// $end: integer; rows that are loaded after
// $rows: list of maps {head: string, tail: string, properties: map, at: string or null (a time in
//   ISO 8601, which a client writes in a fraction of the time of a time)}
// returns: written
MATCH (p:Revision {name: $name})
WHERE p.number = $begin
SET p.number = $end
WITH p
UNWIND $rows AS row
MATCH (a:__HEAD__ {__HEAD_KEY__: row.head})
MATCH (b:__TAIL__ {__TAIL_KEY__: row.tail})
CREATE (a)-[r:__RELATION__]->(b)
SET r = row.properties, r.at = coalesce(datetime(row.at), row.properties.at)
RETURN count(r) AS written
