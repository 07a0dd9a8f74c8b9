-- What nodes must agree on, and what alarms are raised from.

-- +goose Up

-- What may be used once, with the words it was used for; a row means nothing once
-- its time has ended.
CREATE TABLE used_once (
	environment_id TEXT   NOT NULL,
	subject        TEXT   NOT NULL,
	words          TEXT   NOT NULL,
	ends_at        BIGINT NOT NULL,
	PRIMARY KEY (environment_id, subject)
);
CREATE INDEX used_once_by_end ON used_once (environment_id, ends_at);

-- Things that make an alarm when there are several of them at once: domains that
-- do not answer.
CREATE TABLE alarm_signs (
	environment_id TEXT   NOT NULL,
	name           TEXT   NOT NULL,
	about          TEXT   NOT NULL,
	last_at        BIGINT NOT NULL,
	PRIMARY KEY (environment_id, name, about)
);

CREATE INDEX reports_complaints ON reports (environment_id, at) WHERE kind = 'complaint';
CREATE INDEX events_refused ON events (environment_id, at) WHERE kind = 'reset refused';
