-- The keys that sign mails. They belong to a domain, not to an environment.

-- +goose Up

CREATE TABLE dkim_keys (
	domain         TEXT    NOT NULL,
	selector       TEXT    NOT NULL,
	-- both private keys, sealed under the master key; '' once retired
	sealed         TEXT    NOT NULL,
	rsa_public     TEXT    NOT NULL,
	ed25519_public TEXT    NOT NULL,
	made_at        BIGINT  NOT NULL,
	signs_since    BIGINT,
	retired_at     BIGINT,
	PRIMARY KEY (domain, selector)
);
CREATE UNIQUE INDEX dkim_keys_signing ON dkim_keys (domain) WHERE signs_since IS NOT NULL;
