// List the indexes that are still being filled, or that failed.
// returns: name, state
SHOW INDEXES YIELD name, state
WHERE state <> 'ONLINE'
RETURN name, state
