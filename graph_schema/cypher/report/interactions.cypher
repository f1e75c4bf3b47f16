// How many interactions of some users there are by kind and month.
// $keys: list of strings; ids of the users
// $now: integer; milliseconds since 1970
// returns: kind, month (months since the year 0, null where the time is unknown), future (whether
//   they are later than now), interactions
UNWIND $keys AS key
MATCH (u:User {user_id: key})-[x:INTERACTED]->(:Item)
WITH coalesce(x.kind, '') AS kind, x.at.year * 12 + x.at.month - 1 AS month,
     coalesce(x.at.epochMillis > $now, false) AS future
RETURN kind, month, future, count(*) AS interactions
