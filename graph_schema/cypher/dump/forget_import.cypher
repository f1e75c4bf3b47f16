// Note that no import is unfinished: the graph is whole, or empty.
// unchanged: catalogue
// $name: string; the revision that counted its rows
// returns: nothing
MATCH (p:Revision {name: $name})
DELETE p
