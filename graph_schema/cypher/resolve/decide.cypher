// Note whether two nodes are one.
// unchanged: catalogue
// $decision_id: string
// $kind: string
// $left: string
// $right: string
// $same: boolean
// $at: datetime
// returns: nothing
MERGE (d:Decision {decision_id: $decision_id})
SET d.kind = $kind, d.left = $left, d.right = $right, d.same = $same, d.at = $at
