-- What becomes of a mail after a server took it, and of the person who waits for it.

-- +goose Up

-- One per asking: says which request is meant, never who is calling.
ALTER TABLE requests ADD COLUMN case_number TEXT NOT NULL DEFAULT '';
-- Whose address was asked for; '' until it is resolved, or if it is nobody's.
ALTER TABLE requests ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX requests_by_case ON requests (environment_id, case_number) WHERE case_number <> '';
CREATE INDEX requests_of_user ON requests (environment_id, user_id, made_at) WHERE user_id <> '';

-- The class of the answer, as diagnosis reads it: '' for an acceptance.
ALTER TABLE attempts ADD COLUMN class TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN hard BOOLEAN NOT NULL DEFAULT FALSE;
-- When a server took the mail.
ALTER TABLE messages ADD COLUMN accepted_at BIGINT;

-- What came back about a mail: returned mails and events of providers.
CREATE TABLE reports (
	environment_id TEXT    NOT NULL,
	id             TEXT    NOT NULL,
	message        TEXT    NOT NULL,
	user_id        TEXT    NOT NULL,
	at             BIGINT  NOT NULL,
	-- 'mail' for a returned one, else the provider: ses, postmark, sendgrid, mailgun
	source         TEXT    NOT NULL,
	-- bounce, delay, complaint, delivered, auto-reply
	kind           TEXT    NOT NULL,
	class          TEXT    NOT NULL,
	hard           BOOLEAN NOT NULL DEFAULT FALSE,
	reporter       TEXT    NOT NULL DEFAULT '',
	recipient      TEXT    NOT NULL DEFAULT '',
	status         TEXT    NOT NULL DEFAULT '',
	code           BIGINT  NOT NULL DEFAULT 0,
	reply          TEXT    NOT NULL DEFAULT '',
	-- what makes it the same report: a second copy is not taken
	fingerprint    TEXT    NOT NULL,
	PRIMARY KEY (environment_id, id),
	FOREIGN KEY (environment_id, message) REFERENCES messages (environment_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX reports_once ON reports (environment_id, message, fingerprint);
CREATE INDEX reports_of_user ON reports (environment_id, user_id, at);

-- Addresses that get no mail until somebody clears them.
CREATE TABLE suppressions (
	environment_id TEXT   NOT NULL,
	address_key    TEXT   NOT NULL,
	class          TEXT   NOT NULL,
	since          BIGINT NOT NULL,
	-- the provider whose own list it is, or ''
	provider       TEXT   NOT NULL DEFAULT '',
	reply          TEXT   NOT NULL DEFAULT '',
	PRIMARY KEY (environment_id, address_key)
);

-- Each look at a mailed link, for the guess whether a scanner or a person looked.
CREATE TABLE opens (
	environment_id TEXT    NOT NULL,
	id             TEXT    NOT NULL,
	link_id        TEXT    NOT NULL,
	user_id        TEXT    NOT NULL,
	at             BIGINT  NOT NULL,
	method         TEXT    NOT NULL,
	network        TEXT    NOT NULL,
	agent          TEXT    NOT NULL,
	-- the language header came with it
	language       BOOLEAN NOT NULL DEFAULT FALSE,
	-- a browser that asked for this address or signed in with it
	known          BOOLEAN NOT NULL DEFAULT FALSE,
	-- when the page's style sheet was fetched
	styled_at      BIGINT,
	PRIMARY KEY (environment_id, id),
	FOREIGN KEY (environment_id, link_id) REFERENCES links (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX opens_of_link ON opens (environment_id, link_id, at);

-- People whose recovery is stuck: the administrators' queue. A row goes when
-- the person is back in or an administrator closes it.
CREATE TABLE cases (
	environment_id TEXT   NOT NULL,
	user_id        TEXT   NOT NULL,
	since          BIGINT NOT NULL,
	-- why it was opened: bounced, deferred, never opened
	why            TEXT   NOT NULL,
	PRIMARY KEY (environment_id, user_id),
	FOREIGN KEY (environment_id, user_id) REFERENCES users (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX cases_by_age ON cases (environment_id, since);
