// How many relations of each type a node has, by direction; no row where there is no such node.
// $id: string; key of the node
// $relations: list of strings; types that count
// __HEAD__: label of the node
// __HEAD_KEY__: the property that identifies it
// returns: relation, outgoing, count
MATCH (a:__HEAD__ {__HEAD_KEY__: $id})
OPTIONAL MATCH (a)-[r]-()
WHERE type(r) IN $relations
RETURN type(r) AS relation, startNode(r) = a AS outgoing, count(r) AS count
ORDER BY relation, outgoing
