-- What the people who run the server look at.

-- +goose Up

-- Things that somebody must see to: one row a thing, however often it was noticed.
-- What concerns the whole server stands in the reserved environment.
CREATE TABLE alarms (
	environment_id TEXT   NOT NULL,
	name           TEXT   NOT NULL,
	-- what exactly: a server, a domain, a list, or ''
	about          TEXT   NOT NULL,
	severity       TEXT   NOT NULL,
	sentence       TEXT   NOT NULL,
	detail         TEXT   NOT NULL DEFAULT '',
	noticed        BIGINT NOT NULL,
	since          BIGINT NOT NULL,
	last_at        BIGINT NOT NULL,
	PRIMARY KEY (environment_id, name, about)
);

-- Answers of mail servers that no rule knows, to make rules of.
CREATE TABLE unknown_replies (
	environment_id TEXT   NOT NULL,
	-- of the answer without what differs from mail to mail
	fingerprint    TEXT   NOT NULL,
	reply          TEXT   NOT NULL,
	stage          TEXT   NOT NULL,
	domain         TEXT   NOT NULL,
	seen           BIGINT NOT NULL,
	first_at       BIGINT NOT NULL,
	last_at        BIGINT NOT NULL,
	PRIMARY KEY (environment_id, fingerprint)
);
CREATE INDEX unknown_replies_by_age ON unknown_replies (environment_id, last_at);

-- The newest walk of the canary: one row. No secret: the mail itself is kept nowhere.
CREATE TABLE canary (
	one      BIGINT  NOT NULL PRIMARY KEY CHECK (one = 1),
	walk     TEXT    NOT NULL DEFAULT '',
	due_at   BIGINT  NOT NULL,
	asked_at BIGINT,
	ended_at BIGINT,
	-- of the newest walk that has ended; '' if it was good
	problem  TEXT    NOT NULL DEFAULT '',
	-- microseconds from asking to signed out, of the newest good walk
	took     BIGINT  NOT NULL DEFAULT 0,
	good_at  BIGINT
);
