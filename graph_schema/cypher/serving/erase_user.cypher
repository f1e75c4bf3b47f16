// Remove a user and everything that is tied to the user.
// unchanged: catalogue
// $user_id: string
// returns: erased
MATCH (u:User {user_id: $user_id})
DETACH DELETE u
RETURN count(*) AS erased
