// Count the relations of a type.
// __TYPE__: relation type
// returns: count
MATCH ()-[r:__TYPE__]->()
RETURN count(r) AS count
