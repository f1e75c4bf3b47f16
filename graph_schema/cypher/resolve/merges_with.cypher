// Merges whose content holds a text.
// $text: string
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: merge_id, content (JSON)
MATCH (m:Merge)
WHERE m.merge_id > $after AND m.content CONTAINS $text
RETURN m.merge_id AS merge_id, m.content AS content
ORDER BY merge_id
LIMIT $limit
