// How many facts of some items there are by relation, source and confidence.
// $keys: list of strings; ids of the items
// returns: relation, source (`text` for any text), extractor, tenths (of the confidence), facts
UNWIND $keys AS key
MATCH (i:Item {item_id: key})-[f]->(:Entity)
WITH type(f) AS relation,
     CASE WHEN f.source STARTS WITH 'text:' THEN 'text' ELSE coalesce(f.source, '') END AS source,
     coalesce(f.extractor, '') AS extractor,
     toInteger(coalesce(f.confidence, 1.0) * 10) AS tenths
RETURN relation, source, extractor, tenths, count(*) AS facts
