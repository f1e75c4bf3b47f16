// Create a range index over one property of a label (Neo4j).
// unchanged: catalogue
// __INDEX__: name of the index
// __LABEL__: label
// __PROPERTY__: property
// returns: nothing
CREATE INDEX __INDEX__ IF NOT EXISTS
FOR (n:__LABEL__) ON (n.__PROPERTY__)
