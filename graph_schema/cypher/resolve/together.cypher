// How items name two entities side by side, by the same relation, and whether one leads to the other.
// $pairs: list of lists of two ids
// $table: string; what facts from tables carry as their extractor
// returns: n (position in $pairs), same (items whose table names both), other (items of which one
//   source names the one and another the other), tied
UNWIND range(0, size($pairs) - 1) AS n
MATCH (a:Entity {entity_id: $pairs[n][0]})
MATCH (b:Entity {entity_id: $pairs[n][1]})
OPTIONAL MATCH (a)<-[f]-(i:Item)-[g]->(b)
WHERE type(f) = type(g)
WITH n, a, b,
     sum(CASE WHEN f.source = g.source AND f.extractor = $table THEN 1 ELSE 0 END) AS same,
     sum(CASE WHEN f.source <> g.source THEN 1 ELSE 0 END) AS other
RETURN n, same, other, EXISTS { (a)--(b) } AS tied
