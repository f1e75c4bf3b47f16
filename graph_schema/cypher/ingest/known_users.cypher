// Users that are there, in one row: rows of their own take most of the time of a large load.
// $users: list of strings
// returns: users
UNWIND $users AS id
MATCH (u:User {user_id: id})
RETURN collect(u.user_id) AS users
