// What some nodes hold themselves, but for vectors, and how much is tied to them.
// __LABEL__: label of the nodes
// __KEY__: the property that identifies them
// $nodes: list of strings; ids
// $most: integer; so many sources at most
// returns: id, values (all properties), degree, sources (of facts that lead to or from them)
UNWIND $nodes AS id
MATCH (n:__LABEL__ {__KEY__: id})
RETURN id,
       n {.*, vector_a: null, vector_b: null} AS values,
       COUNT { (n)--() } AS degree,
       [(n)-[f]-() | f.source][..$most] AS sources
