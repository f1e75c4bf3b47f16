// Hold one node for each key of a label.
// unchanged: catalogue
// __NAME__: name of the constraint
// __LABEL__: label
// __PROPERTY__: key of the label
// returns: nothing
CREATE CONSTRAINT __NAME__ IF NOT EXISTS
FOR (n:__LABEL__) REQUIRE n.__PROPERTY__ IS UNIQUE
