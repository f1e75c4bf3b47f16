// How many users share items with a user: how much company a history has, and no id of another.
// $user_id: string; id of the user
// $at_least: integer, 3; items that another user must share
// returns: users, most_shared, mean_shared
MATCH (u:User {user_id: $user_id})-[:INTERACTED]->(i:Item)
WITH DISTINCT u, i
MATCH (i)<-[:INTERACTED]-(o:User)
WHERE o.user_id <> u.user_id
WITH o, count(DISTINCT i.item_id) AS shared
WHERE shared >= $at_least
RETURN count(o) AS users, coalesce(max(shared), 0) AS most_shared, avg(shared) AS mean_shared
