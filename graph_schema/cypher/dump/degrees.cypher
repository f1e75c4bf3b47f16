// How many relations leave some nodes, whatever their type, as columns of one row.
// __LABEL__: label
// __KEY__: the property that identifies its nodes
// $keys: list of strings
// returns: keys, counts
UNWIND $keys AS key
MATCH (n:__LABEL__ {__KEY__: key})
WITH key, COUNT { (n)-->() } AS number
RETURN collect(key) AS keys, collect(number) AS counts
