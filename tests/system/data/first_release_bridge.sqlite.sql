-- The schema of the first release (0.1.0, commit 1da74b7), as that release made it in SQLite (`.schema`).
CREATE TABLE inbox (
	id VARCHAR(64) NOT NULL, 
	sequence BIGINT NOT NULL, 
	owner VARCHAR(64) NOT NULL, 
	operation VARCHAR(64) NOT NULL, 
	source VARCHAR(160) NOT NULL, 
	subject VARCHAR(160) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	envelope BLOB NOT NULL, 
	reply BLOB, 
	reply_to VARCHAR(160) NOT NULL, 
	deadline BIGINT NOT NULL, 
	code VARCHAR(64) NOT NULL, 
	note VARCHAR(400) NOT NULL, 
	received_at BIGINT NOT NULL, 
	calling_at BIGINT, 
	updated_at BIGINT NOT NULL, 
	replied_at BIGINT, 
	decided_at BIGINT, 
	PRIMARY KEY (id)
);
CREATE INDEX inbox_state ON inbox (owner, state, updated_at);
CREATE INDEX inbox_unsent ON inbox (owner, replied_at, updated_at);
CREATE INDEX inbox_decided ON inbox (owner, decided_at);
