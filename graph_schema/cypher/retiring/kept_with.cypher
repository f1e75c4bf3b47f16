// Retired users, facts, links and interactions whose content holds a text, in the order of their ids.
// $text: string
// $after: string; the last id of the page before, '' at first
// $limit: integer
// returns: retired_id, kind, content (JSON)
MATCH (r:Retired)
WHERE NOT r.kind IN ['items', 'entities'] AND r.retired_id > $after AND r.content CONTAINS $text
RETURN r.retired_id AS retired_id, r.kind AS kind, r.content AS content
ORDER BY retired_id
LIMIT $limit
