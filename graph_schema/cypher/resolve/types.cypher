// The labels that nodes have beside the one that all of their kind share.
// __LABEL__: that label
// returns: name
MATCH (n:__LABEL__)
UNWIND labels(n) AS name
WITH DISTINCT name
WHERE name <> '__LABEL__'
RETURN name
ORDER BY name
