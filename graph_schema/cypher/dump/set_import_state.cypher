// Note that an import begins, or that the graph is empty for it.
// unchanged: catalogue
// $name: string; the revision that counts its rows
// $dump: string; what is imported
// $done: integer; rows of the dump that are loaded, below 0 while the graph is emptied
// returns: nothing
MERGE (p:Revision {name: $name})
SET p.number = $done, p.dump = $dump
