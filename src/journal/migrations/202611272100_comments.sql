-- Findings that somebody with write access dismissed, for one repository each.
CREATE TABLE dismissals (
  id TEXT PRIMARY KEY NOT NULL,
  repository TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  rule TEXT NOT NULL,
  file TEXT NOT NULL,
  place TEXT NOT NULL,
  dismissed_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  pull TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  revoked_by TEXT,
  revoked_ms INTEGER
) STRICT;
CREATE INDEX dismissals_by_repository ON dismissals (repository);

-- Comments on pull requests that ask for something: commands, and replies to remarks. Each is acted on once.
CREATE TABLE comment_tasks (
  id TEXT PRIMARY KEY NOT NULL,
  pull_key TEXT NOT NULL,
  author TEXT NOT NULL,
  kind TEXT NOT NULL,
  task TEXT NOT NULL,
  state TEXT NOT NULL,
  answered TEXT NOT NULL,
  note TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  next_ms INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX comment_tasks_by_pull ON comment_tasks (pull_key);
CREATE INDEX comment_tasks_waiting ON comment_tasks (next_ms) WHERE state = 'waiting';
