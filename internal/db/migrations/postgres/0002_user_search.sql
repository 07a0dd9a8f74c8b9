-- Trigrams of users.search_text within an environment. Both extensions are
-- "trusted": the owner of the database may create them.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;
CREATE INDEX users_search ON users USING gin (environment_id, search_text gin_trgm_ops);
