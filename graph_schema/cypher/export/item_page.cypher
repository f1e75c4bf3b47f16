// The next items in the order of their ids, as columns of one row; without rows at the end.
// $after: string; the last id of the page before, '' at first
// $limit: integer
// $label: string or null; only items that carry this label
// $properties: list of strings; the properties of the domain to read beside the shared ones
// returns: ids, titles, descriptions, values (a list of values for each item), labels
MATCH (i:Item)
WHERE i.item_id > $after AND ($label IS NULL OR $label IN labels(i))
WITH i
ORDER BY i.item_id
LIMIT $limit
RETURN collect(i.item_id) AS ids,
       collect(coalesce(i.title, '')) AS titles,
       collect(coalesce(i.description, '')) AS descriptions,
       collect([p IN $properties | i[p]]) AS values,
       collect(labels(i)) AS labels
