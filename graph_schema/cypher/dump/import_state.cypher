// How far an import into this graph is that was begun and not finished; no row where there is none.
// $name: string; the revision that counts its rows
// returns: done (rows of the dump that are loaded, below 0 while the graph is emptied), dump
MATCH (p:Revision {name: $name})
RETURN p.number AS done, coalesce(p.dump, '') AS dump
