// Take back what a user did with an item, where it was of some kinds.
// unchanged: catalogue
// $user_id: string
// $item_id: string
// $kinds: list of strings
// returns: withdrawn
MATCH (u:User {user_id: $user_id})-[x:INTERACTED]->(i:Item {item_id: $item_id})
WHERE x.kind IN $kinds
DELETE x
RETURN count(*) AS withdrawn
