// Names of the properties that some items have, whichever domain they are of.
// $limit: integer; how many items are looked at
// returns: names
MATCH (i:Item)
WITH i
LIMIT $limit
UNWIND keys(i) AS name
RETURN collect(DISTINCT name) AS names
