-- Webhooks as they came. The keys make a second one the same as the first, and outlive the rows.
CREATE TABLE deliveries (
  id TEXT PRIMARY KEY NOT NULL,
  at_ms INTEGER NOT NULL,
  event TEXT NOT NULL,
  place TEXT NOT NULL,
  outcome TEXT NOT NULL,
  note TEXT NOT NULL,
  run_id TEXT,
  repeats INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX deliveries_by_time ON deliveries (at_ms);
CREATE TABLE delivery_keys (
  key TEXT PRIMARY KEY NOT NULL,
  delivery TEXT NOT NULL,
  run_id TEXT,
  at_ms INTEGER NOT NULL
) STRICT;

-- Actions that wait for a person.
CREATE TABLE approvals (
  id TEXT PRIMARY KEY NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  what TEXT NOT NULL,
  approvers TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  state TEXT NOT NULL,
  decided_by TEXT,
  reason TEXT,
  decided_ms INTEGER
) STRICT;
CREATE INDEX approvals_by_state ON approvals (state, expires_ms);

-- What is to be left at GitHub, in the order it must be done.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL,
  pull TEXT NOT NULL,
  publication TEXT NOT NULL,
  state TEXT NOT NULL,
  approval TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_ms INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  done_ms INTEGER,
  note TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX outbox_by_state ON outbox (state, id);

-- Agents that an operator stopped.
CREATE TABLE stopped (
  agent TEXT PRIMARY KEY NOT NULL
) STRICT;

-- When each schedule last ran, or was first seen.
CREATE TABLE schedules (
  event TEXT PRIMARY KEY NOT NULL,
  cron TEXT NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;
