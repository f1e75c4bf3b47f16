// Some items, as columns of one row; an id that the graph lacks is left out.
// $items: list of strings; ids
// $label: string or null; only items that carry this label
// $properties: list of strings; the properties of the domain to read beside the shared ones
// returns: ids, titles, descriptions, values (a list of values for each item), labels
UNWIND $items AS id
MATCH (i:Item {item_id: id})
WHERE $label IS NULL OR $label IN labels(i)
RETURN collect(i.item_id) AS ids,
       collect(coalesce(i.title, '')) AS titles,
       collect(coalesce(i.description, '')) AS descriptions,
       collect([p IN $properties | i[p]]) AS values,
       collect(labels(i)) AS labels
