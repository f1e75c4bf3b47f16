// What lists show of some items; an id that the graph lacks is left out.
// $ids: list of strings
// returns: item_id, title, available (whether it may be recommended now)
UNWIND $ids AS id
MATCH (i:Item {item_id: id})
RETURN i.item_id AS item_id, coalesce(i.title, i.item_id) AS title,
       coalesce(i.available, true)
         AND coalesce(i.available_from <= datetime(), true)
         AND coalesce(i.expires_at > datetime(), true) AS available
