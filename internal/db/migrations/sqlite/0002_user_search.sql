-- Trigrams of users.search_text. The index has its own numbers, because a
-- VACUUM may renumber the rows of a table with a text key.
CREATE TABLE users_search_rows (
	rowid          INTEGER PRIMARY KEY,
	environment_id TEXT NOT NULL,
	user_id        TEXT NOT NULL,
	UNIQUE (environment_id, user_id)
);
CREATE VIRTUAL TABLE users_search USING fts5 (
	search_text, content='', contentless_delete=1, tokenize='trigram case_sensitive 1'
);
CREATE TRIGGER users_search_added AFTER INSERT ON users BEGIN
	INSERT INTO users_search_rows (environment_id, user_id) VALUES (new.environment_id, new.id);
	INSERT INTO users_search (rowid, search_text)
		SELECT rowid, new.search_text FROM users_search_rows WHERE environment_id = new.environment_id AND user_id = new.id;
END;
CREATE TRIGGER users_search_changed AFTER UPDATE OF search_text ON users WHEN new.search_text <> old.search_text BEGIN
	UPDATE users_search SET search_text = new.search_text
		WHERE rowid = (SELECT rowid FROM users_search_rows WHERE environment_id = new.environment_id AND user_id = new.id);
END;
CREATE TRIGGER users_search_removed AFTER DELETE ON users BEGIN
	DELETE FROM users_search
		WHERE rowid = (SELECT rowid FROM users_search_rows WHERE environment_id = old.environment_id AND user_id = old.id);
	DELETE FROM users_search_rows WHERE environment_id = old.environment_id AND user_id = old.id;
END;
