-- Pull requests that the engine leaves something on. `revision`: the record that last changed what is wanted there;
-- `settled`: the revision that was brought about. `published`: what was left there, as JSON.
CREATE TABLE pulls (
  key TEXT PRIMARY KEY NOT NULL,
  repository TEXT NOT NULL,
  repository_id INTEGER,
  number INTEGER NOT NULL,
  head TEXT NOT NULL,
  base TEXT NOT NULL,
  run_id TEXT,
  revision INTEGER NOT NULL,
  settled INTEGER NOT NULL,
  next_ms INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL,
  published TEXT NOT NULL
) STRICT;
CREATE INDEX pulls_by_head ON pulls (repository, head);
CREATE INDEX pulls_unsettled ON pulls (next_ms) WHERE revision > settled;

-- Which runs decided about which commit on its way into which branch, in the order of the decisions.
CREATE TABLE pull_decisions (
  run_id TEXT PRIMARY KEY NOT NULL,
  repository TEXT NOT NULL,
  head TEXT NOT NULL,
  base TEXT NOT NULL,
  sequence INTEGER NOT NULL
) STRICT;
CREATE INDEX pull_decisions_by_head ON pull_decisions (repository, head, base);

INSERT INTO pull_decisions (run_id, repository, head, base, sequence)
  SELECT id, lower(json_extract(input, '$.change.pull.repository')), json_extract(input, '$.change.pull.headSha'),
         coalesce(json_extract(input, '$.change.pull.base'), ''), 0
  FROM runs
  WHERE finished_ms IS NOT NULL AND json_extract(input, '$.change.pull.headSha') IS NOT NULL;
