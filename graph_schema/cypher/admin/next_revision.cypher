// Count a change of the catalogue, in the transaction that makes it. The first number is a time, so
// that a graph that was emptied does not come to a number that it had before. The items that the
// last changes were confined to, 200 in all, stay with it, as number and id; `since` is the last
// number of which they are not known, and `counted` the last one that was counted here.
// unchanged: catalogue
// $name: string
// $now: integer; milliseconds since 1970
// $items: list of strings or null; the only items whose text, facts or presence may have changed
// returns: number
MERGE (r:Revision {name: $name})
SET r.number = coalesce(r.number, $now) + 1
WITH r, CASE
          WHEN r.counted = r.number - 1 THEN r.items + [id IN $items | toString(r.number) + ' ' + id]
        END AS items
WITH r, items, items IS NULL OR size(items) > 200 AS lost
SET r.counted = r.number,
    r.items = CASE WHEN lost THEN [] ELSE items END,
    r.since = CASE WHEN lost THEN r.number ELSE r.since END
RETURN r.number AS number
