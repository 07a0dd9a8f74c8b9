-- One text for both engines: TEXT, BIGINT (also UTC microseconds) and BOOLEAN.
-- environment_id leads every key of what belongs to an environment, so that the
-- schema can be sharded by it. Absent text is '', an absent time is NULL.

-- +goose Up

-- What this database is sealed with: one row.
CREATE TABLE installation (
	one                BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	master_fingerprint TEXT   NOT NULL,
	made_at            BIGINT NOT NULL
);

-- The ring: keys that sign links, each sealed under the master key.
CREATE TABLE signing_keys (
	id         BIGINT NOT NULL PRIMARY KEY CHECK (id BETWEEN 1 AND 255),
	sealed     TEXT   NOT NULL,
	made_at    BIGINT NOT NULL,
	retired_at BIGINT,
	revoked_at BIGINT
);

CREATE TABLE environments (
	id           TEXT   NOT NULL PRIMARY KEY,
	slug         TEXT   NOT NULL UNIQUE,
	name         TEXT   NOT NULL,
	policy       TEXT   NOT NULL,
	made_at      BIGINT NOT NULL,
	suspended_at BIGINT
);

CREATE TABLE users (
	environment_id    TEXT   NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
	id                TEXT   NOT NULL,
	email             TEXT   NOT NULL,
	email_key         TEXT   NOT NULL,
	pending_email     TEXT   NOT NULL DEFAULT '',
	name              TEXT   NOT NULL,
	-- folded name and address, for searching
	search_text       TEXT   NOT NULL,
	-- hexadecimal of the folded name, for one order in every collation
	sort_key          TEXT   NOT NULL,
	role              TEXT   NOT NULL,
	state             TEXT   NOT NULL,
	external_id       TEXT   NOT NULL DEFAULT '',
	password_hash     TEXT   NOT NULL DEFAULT '',
	password_shape    TEXT   NOT NULL DEFAULT '',
	made_at           BIGINT NOT NULL,
	last_sign_in_at   BIGINT,
	PRIMARY KEY (environment_id, id)
);
CREATE UNIQUE INDEX users_by_email ON users (environment_id, email_key);
CREATE INDEX users_in_order ON users (environment_id, sort_key, id);
CREATE INDEX users_admins ON users (environment_id) WHERE role = 'client-admin';
CREATE INDEX users_by_shape ON users (environment_id, password_shape);

CREATE TABLE sessions (
	environment_id TEXT   NOT NULL,
	token_hash     TEXT   NOT NULL,
	id             TEXT   NOT NULL,
	user_id        TEXT   NOT NULL,
	made_at        BIGINT NOT NULL,
	seen_at        BIGINT NOT NULL,
	ends_at        BIGINT NOT NULL,
	-- microseconds without use after which it ends
	idle_for       BIGINT NOT NULL,
	ended_at       BIGINT,
	ended_why      TEXT   NOT NULL DEFAULT '',
	network        TEXT   NOT NULL,
	agent          TEXT   NOT NULL,
	PRIMARY KEY (environment_id, token_hash),
	FOREIGN KEY (environment_id, user_id) REFERENCES users (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_by_end ON sessions (environment_id, ends_at);
CREATE INDEX sessions_of_user ON sessions (environment_id, user_id, made_at);

-- The right of one user to set a new password without the old one.
CREATE TABLE tokens (
	environment_id TEXT   NOT NULL,
	id             TEXT   NOT NULL,
	user_id        TEXT   NOT NULL,
	purpose        TEXT   NOT NULL,
	made_at        BIGINT NOT NULL,
	used_at        BIGINT,
	used_agent     TEXT   NOT NULL DEFAULT '',
	-- made at the GET of the form, kept by the winner: settles a repeated POST
	operation      TEXT   NOT NULL DEFAULT '',
	revoked_at     BIGINT,
	revoked_why    TEXT   NOT NULL DEFAULT '',
	PRIMARY KEY (environment_id, id),
	FOREIGN KEY (environment_id, user_id) REFERENCES users (environment_id, id) ON DELETE CASCADE
);
-- At most one token of a user is open.
CREATE UNIQUE INDEX tokens_open ON tokens (environment_id, user_id) WHERE used_at IS NULL AND revoked_at IS NULL;
CREATE INDEX tokens_of_user ON tokens (environment_id, user_id, made_at);

-- Ways to exercise a token, and the two links that need none (not-me, confirm).
CREATE TABLE links (
	environment_id    TEXT   NOT NULL,
	id                TEXT   NOT NULL,
	purpose           TEXT   NOT NULL,
	token_id          TEXT   NOT NULL DEFAULT '',
	user_id           TEXT   NOT NULL,
	channel           TEXT   NOT NULL,
	made_by           TEXT   NOT NULL DEFAULT '',
	made_by_name      TEXT   NOT NULL DEFAULT '',
	key_id            BIGINT NOT NULL,
	made_at           BIGINT NOT NULL,
	ends_at           BIGINT NOT NULL,
	ended_at          BIGINT,
	ended_why         TEXT   NOT NULL DEFAULT '',
	detail            TEXT   NOT NULL DEFAULT '',
	opened_at         BIGINT,
	scanned_at        BIGINT,
	opens             BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (environment_id, id),
	FOREIGN KEY (environment_id, user_id) REFERENCES users (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX links_of_user ON links (environment_id, user_id, made_at);
CREATE INDEX links_of_token ON links (environment_id, token_id);
CREATE INDEX links_by_admin ON links (environment_id, made_by) WHERE channel = 'admin';

-- A Client Admin asks a second one to agree to an act on another Client Admin.
CREATE TABLE approvals (
	environment_id TEXT   NOT NULL,
	id             TEXT   NOT NULL,
	user_id        TEXT   NOT NULL,
	asked_by       TEXT   NOT NULL,
	asked_by_name  TEXT   NOT NULL,
	asked_at       BIGINT NOT NULL,
	answered_by      TEXT   NOT NULL DEFAULT '',
	agreed_at      BIGINT,
	declined_at    BIGINT,
	PRIMARY KEY (environment_id, id),
	FOREIGN KEY (environment_id, user_id) REFERENCES users (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX approvals_of_user ON approvals (environment_id, user_id, asked_at);
CREATE INDEX approvals_by_age ON approvals (environment_id, asked_at);

-- Somebody typed an address into "I forgot my password".
CREATE TABLE requests (
	environment_id TEXT   NOT NULL,
	id             TEXT   NOT NULL,
	address        TEXT   NOT NULL,
	address_key    TEXT   NOT NULL,
	network        TEXT   NOT NULL,
	agent          TEXT   NOT NULL,
	made_at        BIGINT NOT NULL,
	resolved_at    BIGINT,
	outcome        TEXT   NOT NULL DEFAULT '',
	PRIMARY KEY (environment_id, id)
);
CREATE INDEX requests_waiting ON requests (environment_id, address_key) WHERE resolved_at IS NULL;
CREATE INDEX requests_by_age ON requests (environment_id, made_at);

-- Addresses that were asked for and matched nobody.
CREATE TABLE unmatched (
	environment_id TEXT   NOT NULL,
	address_key    TEXT   NOT NULL,
	address        TEXT   NOT NULL,
	asked          BIGINT NOT NULL,
	first_at       BIGINT NOT NULL,
	last_at        BIGINT NOT NULL,
	PRIMARY KEY (environment_id, address_key)
);
CREATE INDEX unmatched_by_age ON unmatched (environment_id, last_at);

-- Counters of tries; a row counts nothing once its window has ended.
CREATE TABLE throttle (
	environment_id TEXT   NOT NULL,
	subject        TEXT   NOT NULL,
	tries          BIGINT NOT NULL,
	ends_at        BIGINT NOT NULL,
	blocked_until  BIGINT,
	PRIMARY KEY (environment_id, subject)
);
CREATE INDEX throttle_by_end ON throttle (environment_id, ends_at);

-- Mails, from the cause to the last reply of a server. No secret is stored:
-- a mail is rendered when it is sent.
CREATE TABLE messages (
	environment_id TEXT   NOT NULL,
	id             TEXT   NOT NULL,
	user_id        TEXT   NOT NULL,
	kind           TEXT   NOT NULL,
	to_name        TEXT   NOT NULL,
	to_email       TEXT   NOT NULL,
	message_id     TEXT   NOT NULL,
	link_id        TEXT   NOT NULL DEFAULT '',
	not_me_id      TEXT   NOT NULL DEFAULT '',
	detail         TEXT   NOT NULL DEFAULT '',
	state          TEXT   NOT NULL,
	made_at        BIGINT NOT NULL,
	settled_at     BIGINT,
	next_try_at    BIGINT,
	PRIMARY KEY (environment_id, id),
	FOREIGN KEY (environment_id, user_id) REFERENCES users (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX messages_of_user ON messages (environment_id, user_id, made_at);

CREATE TABLE attempts (
	environment_id TEXT   NOT NULL,
	message        TEXT   NOT NULL,
	number         BIGINT NOT NULL,
	at             BIGINT NOT NULL,
	server         TEXT   NOT NULL,
	stage          TEXT   NOT NULL,
	code           BIGINT NOT NULL,
	enhanced       TEXT   NOT NULL,
	reply          TEXT   NOT NULL,
	outcome        TEXT   NOT NULL,
	conversation   TEXT   NOT NULL,
	took           BIGINT NOT NULL,
	PRIMARY KEY (environment_id, message, number),
	FOREIGN KEY (environment_id, message) REFERENCES messages (environment_id, id) ON DELETE CASCADE
);

-- Work that was promised with the change that caused it. A row is claimed with
-- a lease and deleted when done.
CREATE TABLE jobs (
	environment_id TEXT   NOT NULL,
	id             TEXT   NOT NULL,
	kind           TEXT   NOT NULL,
	subject        TEXT   NOT NULL,
	due_at         BIGINT NOT NULL,
	leased_until   BIGINT NOT NULL DEFAULT 0,
	lease_holder   TEXT   NOT NULL DEFAULT '',
	tries          BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (environment_id, id)
);
-- Workers serve all environments: the one index that an environment does not lead.
CREATE INDEX jobs_due ON jobs (kind, due_at);

-- What happened, written once. number is the place in the environment's sealed log.
CREATE TABLE events (
	environment_id TEXT   NOT NULL,
	id             TEXT   NOT NULL,
	at             BIGINT NOT NULL,
	kind           TEXT   NOT NULL,
	actor_id       TEXT   NOT NULL DEFAULT '',
	actor_name     TEXT   NOT NULL DEFAULT '',
	user_id        TEXT   NOT NULL DEFAULT '',
	network        TEXT   NOT NULL DEFAULT '',
	agent          TEXT   NOT NULL DEFAULT '',
	detail         TEXT   NOT NULL DEFAULT '',
	number         BIGINT,
	PRIMARY KEY (environment_id, id)
);
CREATE INDEX events_of_user ON events (environment_id, user_id, at);
