// How many interactions of some users there are by kind and day.
// $keys: list of strings; ids of the users
// $now: integer; milliseconds since 1970
// returns: kind, day (since 1970, null where the time is unknown), future (whether they are later
//   than now), interactions
UNWIND $keys AS key
MATCH (u:User {user_id: key})-[x:INTERACTED]->(:Item)
WITH coalesce(x.kind, '') AS kind, x.at.epochMillis AS at
WITH kind, toInteger(floor(at / 86400000.0)) AS day, coalesce(at > $now, false) AS future
RETURN kind, day, future, count(*) AS interactions
