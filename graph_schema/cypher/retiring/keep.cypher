// Keep what is retired, so that it can be brought back.
// unchanged: catalogue
// $rows: list of maps {retired_id: string, run_id: string, source: string, kind: string,
//   count: integer, content: string (JSON)}
// $at: datetime
// returns: kept
UNWIND $rows AS row
MERGE (r:Retired {retired_id: row.retired_id})
SET r.run_id = row.run_id, r.source = row.source, r.kind = row.kind, r.count = row.count,
    r.content = row.content, r.at = $at
RETURN count(r) AS kept
