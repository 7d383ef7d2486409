-- Local files that the service keeps for a while, by the SHA-256 of their content in hex. Each is for one model of one account.
CREATE TABLE r2v_upload (
	upstream   TEXT NOT NULL,
	account    TEXT NOT NULL,
	model      TEXT NOT NULL,
	sum        TEXT NOT NULL,
	url        TEXT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (upstream, account, model, sum)
);
