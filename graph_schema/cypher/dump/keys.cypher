// The next keys of a label's nodes in their order, as one row.
// __LABEL__: label
// __KEY__: the property that identifies its nodes
// $after: string; the last key of the page before, '' at first
// $limit: integer
// returns: ids
MATCH (n:__LABEL__)
WHERE n.__KEY__ > $after
WITH n
ORDER BY n.__KEY__
LIMIT $limit
RETURN collect(n.__KEY__) AS ids
