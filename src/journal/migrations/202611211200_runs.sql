-- Runs and their steps. Everything in here is redacted before it arrives.
CREATE TABLE runs (
  id TEXT PRIMARY KEY NOT NULL,
  created_ms INTEGER NOT NULL,
  event TEXT NOT NULL,
  requested_event TEXT NOT NULL,
  correlation TEXT NOT NULL,
  actor TEXT NOT NULL,
  idempotency TEXT UNIQUE,
  status TEXT NOT NULL,
  starts INTEGER NOT NULL DEFAULT 0,
  cancel INTEGER NOT NULL DEFAULT 0,
  started_ms INTEGER,
  finished_ms INTEGER,
  plan TEXT NOT NULL,
  input TEXT NOT NULL,
  diff TEXT NOT NULL,
  result TEXT,
  action TEXT,
  report_name TEXT NOT NULL,
  report_text TEXT,
  report_written INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_by_status ON runs (status, created_ms);
CREATE INDEX runs_by_time ON runs (created_ms);

CREATE TABLE steps (
  run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  agent_id TEXT NOT NULL,
  finished_ms INTEGER NOT NULL,
  result TEXT NOT NULL,
  PRIMARY KEY (run_id, agent_id)
) STRICT;
