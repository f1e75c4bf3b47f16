// Remove users and everything that is tied to them.
// unchanged: catalogue
// $users: list of strings
// returns: deleted
UNWIND $users AS id
MATCH (u:User {user_id: id})
DETACH DELETE u
RETURN count(*) AS deleted
