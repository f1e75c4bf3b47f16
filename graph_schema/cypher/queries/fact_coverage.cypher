// How far the facts of each relation reach: facts, items that have one, entities, and confidence.
// returns: relation, facts, items, entities, mean_confidence
MATCH (i:Item)-[f]->(e:Entity)
WITH type(f) AS relation, f, i, e
RETURN relation,
       count(f) AS facts,
       count(DISTINCT i.item_id) AS items,
       count(DISTINCT e.entity_id) AS entities,
       avg(coalesce(f.confidence, 1.0)) AS mean_confidence
ORDER BY facts DESC, relation
