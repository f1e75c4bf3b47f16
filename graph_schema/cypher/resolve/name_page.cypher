// The names of the next nodes of one type, in the order of their ids, as columns of one row.
// __LABEL__: their label
// __KEY__: the property that identifies them
// __NAME__: the property that names them
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: ids, names, aliases
MATCH (n:__LABEL__)
WHERE n.__KEY__ > $after
WITH n
ORDER BY n.__KEY__
LIMIT $limit
RETURN collect(n.__KEY__) AS ids,
       collect(coalesce(n.__NAME__, '')) AS names,
       collect(coalesce(n.aliases, [])) AS aliases
