// Record what a user did with an item; a user who was unknown comes into being. No row when there
// is no such item; nothing changes when the same feedback is there already.
// unchanged: catalogue
// $user_id: string
// $item_id: string
// $key: string; tells this feedback from the others of the user and the item
// $kind: string
// $value: float
// $at: datetime
// $device: string, or null
// $scenario: string, or null
// returns: known (whether it was there already), kind, value, at (milliseconds since 1970)
MATCH (i:Item {item_id: $item_id})
MERGE (u:User {user_id: $user_id})
WITH u, i, EXISTS { (u)-[:INTERACTED {key: $key}]->(i) } AS known
MERGE (u)-[x:INTERACTED {key: $key}]->(i)
ON CREATE SET x.kind = $kind, x.value = $value, x.at = $at,
    x.device = $device, x.scenario = $scenario
RETURN known, x.kind AS kind, x.value AS value, x.at.epochMillis AS at
