// What else of one type the items lead to that lead to some entities.
// __TYPE__: label of the type
// $nodes: list of strings; ids of the entities
// $most: integer; so many items of each at most
// $year: string; the property of an item that is its year
// returns: id, companions, years
UNWIND $nodes AS id
MATCH (e:Entity {entity_id: id})
WITH id, [(i:Item)-[]->(e) | i][..$most] AS items
UNWIND items AS i
WITH DISTINCT id, i
OPTIONAL MATCH (i)-[]->(c:__TYPE__)
WHERE c.entity_id <> id
RETURN id,
       collect(DISTINCT c.entity_id) AS companions,
       collect(DISTINCT i[$year]) AS years
