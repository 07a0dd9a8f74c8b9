-- +goose Up

-- The names of the links that an asking will mail, drawn with it: done again after a
-- power cut, it mails the same ones. '' in rows from before: drawn when it is resolved.
ALTER TABLE requests ADD COLUMN link_id TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN not_me_id TEXT NOT NULL DEFAULT '';
