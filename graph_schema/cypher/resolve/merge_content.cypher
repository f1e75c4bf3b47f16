// What is needed to undo a merge.
// $merge_id: string
// returns: content (JSON), ties (how many relations the kept node had after it)
MATCH (m:Merge {merge_id: $merge_id})
RETURN m.content AS content, m.ties AS ties
