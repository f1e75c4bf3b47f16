// Create users that are not there and set properties; those that are not named stay.
// unchanged: catalogue
// $rows: list of maps {user_id: string, properties: map}
// returns: written
UNWIND $rows AS row
MERGE (u:User {user_id: row.user_id})
SET u += row.properties
RETURN count(u) AS written
