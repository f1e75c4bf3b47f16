// The last changes of the catalogue, and the items that they were confined to; see
// admin/next_revision. No row where others have changed it since.
// $revision: string; its name
// $seen: integer; the number after which they are wanted
// returns: items (number and id, with a space between)
MATCH (r:Revision {name: $revision})
WHERE r.counted = r.number AND r.since <= $seen
RETURN r.items AS items
