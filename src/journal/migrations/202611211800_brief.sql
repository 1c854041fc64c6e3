-- A finished run's line in a list, so that a long list reads nothing else.
ALTER TABLE runs ADD COLUMN brief TEXT;
