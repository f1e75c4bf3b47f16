// Create nodes of a dump and count them, if those before them are loaded and they are not: so that
// nothing is created twice, whenever an import is killed and goes on.
// __LABELS__: labels, with : between
// $name: string; the revision that counts the rows
// $begin: integer; rows of the dump that are loaded before
// $end: integer; rows that are loaded after
// $rows: list of maps; the properties of each node
// returns: written
MATCH (p:Revision {name: $name})
WHERE p.number = $begin
SET p.number = $end
WITH p
UNWIND $rows AS row
CREATE (n:__LABELS__)
SET n = row
RETURN count(n) AS written
