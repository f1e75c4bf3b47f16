// Create a full-text index over one property of a label (Neo4j).
// unchanged: catalogue
// __INDEX__: name of the index
// __LABEL__: label
// __PROPERTY__: property with the text
// returns: nothing
CREATE FULLTEXT INDEX __INDEX__ IF NOT EXISTS
FOR (n:__LABEL__) ON EACH [n.__PROPERTY__]
