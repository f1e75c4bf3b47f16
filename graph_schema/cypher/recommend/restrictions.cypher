// Items that are not shown at all times, as columns of one row: hidden, not yet or no longer shown.
// returns: items, shown, opens, closes (milliseconds since 1970; 0 where there is no limit)
MATCH (i:Item)
WHERE i.available IS NOT NULL OR i.available_from IS NOT NULL OR i.expires_at IS NOT NULL
RETURN collect(i.item_id) AS items,
       collect(coalesce(i.available, true)) AS shown,
       collect(coalesce(i.available_from.epochMillis, 0)) AS opens,
       collect(coalesce(i.expires_at.epochMillis, 0)) AS closes
