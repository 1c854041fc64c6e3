-- Recorded pictures, thinner with age. Nothing in here is needed to resume a run.
CREATE TABLE history (
  at_ms INTEGER PRIMARY KEY NOT NULL,
  picture BLOB NOT NULL
) STRICT;
