-- Addresses that users had before: who asks for one means its last owner.

-- +goose Up

CREATE TABLE former_addresses (
	environment_id TEXT   NOT NULL,
	address_key    TEXT   NOT NULL,
	user_id        TEXT   NOT NULL,
	until          BIGINT NOT NULL,
	PRIMARY KEY (environment_id, address_key),
	FOREIGN KEY (environment_id, user_id) REFERENCES users (environment_id, id) ON DELETE CASCADE
);
