// List the labels of the database.
// returns: name
CALL db.labels() YIELD label
RETURN label AS name
ORDER BY name
