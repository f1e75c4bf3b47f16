// What a node is tied to, in the order of relation type, id and mark; what was recommended or is
// suggested and is not available now is left out.
// $id: string; key of the node
// $relations: list of strings; types of relation that are followed
// $after_relation: string; relation of the last entry of the page before, '' at first
// $after_id: string; id of that entry
// $after_mark: string; mark of that entry, which tells relations to one node apart
// $limit: integer
// __HEAD__: label of the node
// __HEAD_KEY__: the property that identifies it
// returns: relation, outgoing, kind, id, name, labels, confidence, source, evidence, mark
MATCH (a:__HEAD__ {__HEAD_KEY__: $id})-[r]-(b)
WHERE type(r) IN $relations
  AND (NOT type(r) IN ['RECOMMENDED', 'SUGGESTS']
       OR (coalesce(b.available, true)
           AND coalesce(b.available_from <= datetime(), true)
           AND coalesce(b.expires_at > datetime(), true)))
WITH a, r, b, type(r) AS relation,
     CASE WHEN b.item_id IS NOT NULL THEN 'item'
          WHEN b.entity_id IS NOT NULL THEN 'entity' ELSE 'user' END AS kind,
     coalesce(b.item_id, b.entity_id, b.user_id) AS id,
     CASE WHEN startNode(r) = a THEN 'out' ELSE 'in' END AS way
WITH r, b, relation, kind, id, way, way + ' ' + kind + ' ' + coalesce(r.key, '') AS mark
WHERE relation > $after_relation
   OR (relation = $after_relation AND (id > $after_id OR (id = $after_id AND mark > $after_mark)))
RETURN relation,
       way = 'out' AS outgoing,
       kind,
       id,
       coalesce(b.title, b.name, id) AS name,
       labels(b) AS labels,
       coalesce(r.confidence, 1.0) AS confidence,
       coalesce(r.source, '') AS source,
       coalesce(r.evidence, '') AS evidence,
       mark
ORDER BY relation, id, mark
LIMIT $limit
