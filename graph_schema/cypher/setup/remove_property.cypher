// Remove a property from some of the nodes of a label that have it.
// unchanged: catalogue
// __LABEL__: label
// __PROPERTY__: property
// $limit: integer; the most nodes of one call
// returns: removed; how many nodes had it
MATCH (n:__LABEL__)
WHERE n.__PROPERTY__ IS NOT NULL
WITH n LIMIT $limit
REMOVE n.__PROPERTY__
RETURN count(n) AS removed
