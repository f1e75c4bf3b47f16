// Look up the configuration of an index (Neo4j).
// $index: string; name of the index
// returns: config
SHOW INDEXES YIELD name, options
WHERE name = $index
RETURN options.indexConfig AS config
