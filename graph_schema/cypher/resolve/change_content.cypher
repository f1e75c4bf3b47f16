// Replace what is kept of merges.
// unchanged: catalogue
// $rows: list of maps {merge_id: string, content: string (JSON)}
// returns: changed
UNWIND $rows AS row
MATCH (m:Merge {merge_id: row.merge_id})
SET m.content = row.content
RETURN count(m) AS changed
