-- The numbers of recovery, counted once a day and kept for longer than what they
-- are counted from.

-- +goose Up

CREATE TABLE recovery_days (
	environment_id TEXT   NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
	-- days since 1970, UTC
	day            BIGINT NOT NULL,
	measure        TEXT   NOT NULL,
	n              BIGINT NOT NULL,
	PRIMARY KEY (environment_id, day, measure)
);

-- How far the counting has come.
CREATE TABLE recovery_counts (
	environment_id TEXT   NOT NULL PRIMARY KEY REFERENCES environments (id) ON DELETE CASCADE,
	-- the first day that may still change
	open_day       BIGINT NOT NULL,
	counted_at     BIGINT NOT NULL
);

CREATE INDEX tokens_by_age ON tokens (environment_id, made_at);
