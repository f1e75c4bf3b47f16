// The next merges, in the order of their ids, as columns of one row.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: ids, kinds, types, kept (id of the node that stands for both), merged (id of the node
//   that was merged into it), names (of that node), scores, reasons, former (ids that stand for the kept
//   one), aliases (what the kept one is also called by it), numbers (their order), times
//   (milliseconds since 1970)
MATCH (m:Merge)
WHERE m.merge_id > $after
WITH m
ORDER BY m.merge_id
LIMIT $limit
RETURN collect(m.merge_id) AS ids,
       collect(m.kind) AS kinds,
       collect(m.type) AS types,
       collect(m.kept) AS kept,
       collect(m.merged) AS merged,
       collect(m.name) AS names,
       collect(m.score) AS scores,
       collect(m.reasons) AS reasons,
       collect(m.ids) AS former,
       collect(m.aliases) AS aliases,
       collect(m.number) AS numbers,
       collect(m.at.epochMillis) AS times
