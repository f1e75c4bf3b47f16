// Replace what is kept of retired facts, links or interactions.
// unchanged: catalogue
// $rows: list of maps {retired_id: string, content: string (JSON), count: integer}
// returns: changed
UNWIND $rows AS row
MATCH (r:Retired {retired_id: row.retired_id})
SET r.content = row.content, r.count = row.count
RETURN count(r) AS changed
