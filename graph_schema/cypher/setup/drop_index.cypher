// Drop an index (Neo4j).
// unchanged: catalogue
// __INDEX__: name of the index
// returns: nothing
DROP INDEX __INDEX__ IF EXISTS
