-- The schema of the first release (0.1.0, commit 1da74b7), as that release made it in SQLite (`.schema`).
CREATE TABLE applications (
	name VARCHAR(64) NOT NULL, 
	key_hash BLOB NOT NULL, 
	scopes TEXT NOT NULL, 
	networks TEXT NOT NULL, 
	rate FLOAT NOT NULL, 
	created_at BIGINT NOT NULL, 
	revoked_at BIGINT, 
	PRIMARY KEY (name), 
	UNIQUE (key_hash)
);
CREATE TABLE requests (
	id VARCHAR(36) NOT NULL, 
	front VARCHAR(64) NOT NULL, 
	application VARCHAR(64) NOT NULL, 
	idempotency_key VARCHAR(64) NOT NULL, 
	fingerprint BLOB NOT NULL, 
	operation VARCHAR(64) NOT NULL, 
	destination VARCHAR(160) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	code VARCHAR(64) NOT NULL, 
	envelope BLOB NOT NULL, 
	reply BLOB, 
	accepted_at BIGINT NOT NULL, 
	sent_at BIGINT, 
	updated_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	sends INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX requests_state ON requests (state, sent_at);
CREATE UNIQUE INDEX requests_idempotency ON requests (application, idempotency_key);
