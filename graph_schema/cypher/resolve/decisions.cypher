// What was decided of pairs of one kind.
// $kind: string
// returns: left, right, same
MATCH (d:Decision {kind: $kind})
RETURN d.left AS left, d.right AS right, d.same AS same
ORDER BY left, right
