// How many interactions some users have, as columns of one row.
// $keys: list of strings; ids
// returns: ids, interactions
UNWIND $keys AS key
MATCH (u:User {user_id: key})
WITH key, COUNT { (u)-[:INTERACTED]->(:Item) } AS interactions
RETURN collect(key) AS ids, collect(interactions) AS interactions
