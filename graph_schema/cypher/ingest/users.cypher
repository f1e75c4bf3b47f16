// Users that are there, with some of their properties.
// $users: list of strings
// $properties: list of strings
// returns: user_id, values (in the order of $properties)
UNWIND $users AS id
MATCH (u:User {user_id: id})
RETURN id AS user_id, [p IN $properties | u[p]] AS values
