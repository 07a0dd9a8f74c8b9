-- Help: an environment's own articles, and what readers think of all of them.

-- +goose Up

CREATE TABLE help_articles (
	environment_id TEXT   NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
	-- its place in addresses, fixed when it is made
	name           TEXT   NOT NULL,
	title          TEXT   NOT NULL,
	-- Markdown
	text           TEXT   NOT NULL,
	-- folded title and text, for searching
	search_text    TEXT   NOT NULL,
	-- everyone or admins
	audience       TEXT   NOT NULL,
	made_at        BIGINT NOT NULL,
	changed_at     BIGINT NOT NULL,
	changed_by     TEXT   NOT NULL,
	published_at   BIGINT,
	PRIMARY KEY (environment_id, name)
);

-- What one reader said of one article; saying it again replaces it.
CREATE TABLE help_feedback (
	environment_id TEXT    NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
	article        TEXT    NOT NULL,
	-- a keyed hash of the user or of the browser: nobody can be read from it
	reader         TEXT    NOT NULL,
	helpful        BOOLEAN NOT NULL,
	-- names of reasons, with commas
	reasons        TEXT    NOT NULL DEFAULT '',
	remark         TEXT    NOT NULL DEFAULT '',
	signed_in      BOOLEAN NOT NULL,
	at             BIGINT  NOT NULL,
	PRIMARY KEY (environment_id, article, reader)
);
CREATE INDEX help_feedback_by_age ON help_feedback (environment_id, at);
