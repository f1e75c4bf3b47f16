// Create a cosine index over the vectors of a label (Neo4j).
// unchanged: catalogue
// __INDEX__: name of the index
// __LABEL__: label
// __PROPERTY__: property with the vector
// $dimensions: integer
// returns: nothing
CREATE VECTOR INDEX __INDEX__ IF NOT EXISTS
FOR (n:__LABEL__) ON (n.__PROPERTY__)
OPTIONS {indexConfig: {`vector.dimensions`: $dimensions, `vector.similarity_function`: 'cosine'}}
