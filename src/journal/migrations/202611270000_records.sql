-- Every change as data, beside the tables and in the same transaction. A pruned record keeps its digest.
CREATE TABLE records (
  sequence INTEGER PRIMARY KEY NOT NULL,
  subject TEXT NOT NULL,
  kind TEXT NOT NULL,
  digest BLOB NOT NULL,
  chain BLOB NOT NULL,
  body BLOB
) STRICT;

-- Facts about the journal itself: its epoch, where its chain begins, a notice that nobody has read yet.
CREATE TABLE meta (
  key TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) STRICT;
