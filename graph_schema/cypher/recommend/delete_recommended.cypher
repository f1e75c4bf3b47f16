// Remove the stored recommendations of some users.
// unchanged: catalogue
// $users: list of strings
// returns: nothing
UNWIND $users AS id
MATCH (u:User {user_id: id})-[r:RECOMMENDED]->(:Item)
DELETE r
