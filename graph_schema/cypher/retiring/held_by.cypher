// The next nodes, in the order of their ids, that a complete source holds.
// $after: string; the last id of the page before, '' at first
// $source: string
// $limit: integer
// __LABEL__: label of the nodes
// __KEY__: the property that identifies them
// returns: ids
MATCH (n:__LABEL__)
WHERE n.__KEY__ > $after AND n.held_by = $source
WITH n
ORDER BY n.__KEY__
LIMIT $limit
RETURN collect(n.__KEY__) AS ids
