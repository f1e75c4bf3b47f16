// The revision of the catalogue; no row where there is none.
// $revision: string; its name
// returns: number
MATCH (r:Revision {name: $revision})
RETURN r.number AS number
