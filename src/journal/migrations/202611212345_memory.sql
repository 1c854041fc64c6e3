-- Past reviews and decisions. Everything in here is redacted before it arrives.
CREATE TABLE memory (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT UNIQUE NOT NULL,
  kind TEXT NOT NULL,
  code TEXT NOT NULL,
  review TEXT NOT NULL,
  metadata TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  run_id TEXT
) STRICT;
CREATE INDEX memory_by_kind ON memory (kind, created_ms);
CREATE INDEX memory_by_time ON memory (created_ms, seq);
