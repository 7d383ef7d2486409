-- Both databases run this text as it is. Times are microseconds since 1970, amounts that are added up are billionths of the
-- currency, amounts that are shown are decimal text; '' and 0 mean "not known".
CREATE TABLE r2v_task (
	id               TEXT PRIMARY KEY,
	owner            TEXT NOT NULL,
	idempotency_key  TEXT NOT NULL,
	fingerprint      TEXT NOT NULL,
	upstream         TEXT NOT NULL,
	account          TEXT NOT NULL,
	provider_task_id TEXT,
	found            BIGINT NOT NULL,
	model            TEXT NOT NULL,
	request          TEXT NOT NULL,
	status           TEXT NOT NULL,
	estimate_low     TEXT NOT NULL,
	estimate_high    TEXT NOT NULL,
	per_second       TEXT NOT NULL,
	currency         TEXT NOT NULL,
	billed           TEXT NOT NULL,
	reserved         BIGINT NOT NULL,
	created_at       BIGINT NOT NULL,
	submitted_at     BIGINT NOT NULL,
	scheduled_at     BIGINT NOT NULL,
	ended_at         BIGINT NOT NULL,
	looked_at        BIGINT NOT NULL,
	video_url        TEXT NOT NULL,
	usage            TEXT NOT NULL,
	failure          TEXT NOT NULL,
	trouble          TEXT NOT NULL,
	saved_to         TEXT NOT NULL,
	save_error       TEXT NOT NULL,
	due_at           BIGINT,
	version          BIGINT NOT NULL
);
CREATE UNIQUE INDEX r2v_task_key ON r2v_task (owner, idempotency_key);
CREATE UNIQUE INDEX r2v_task_provider ON r2v_task (provider_task_id);
CREATE INDEX r2v_task_fingerprint ON r2v_task (fingerprint, created_at);
CREATE INDEX r2v_task_created ON r2v_task (created_at, id);
CREATE INDEX r2v_task_due ON r2v_task (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX r2v_task_open ON r2v_task (upstream, created_at) WHERE status IN ('PENDING', 'RUNNING', 'UNKNOWN');
CREATE INDEX r2v_task_usual ON r2v_task (model, ended_at) WHERE status = 'SUCCEEDED';
-- Ids that were given out for a task that turned out to be another one's.
CREATE TABLE r2v_alias (
	id   TEXT PRIMARY KEY,
	task TEXT NOT NULL
);
CREATE TABLE r2v_turn (
	name TEXT PRIMARY KEY,
	at   BIGINT NOT NULL
);
