"""The tables of bindings: proofs (match tokens, one-time codes), bindings, verified names, consents, the outbox."""

TABLES = """
CREATE INDEX customer_by_identity ON customer (identity_number, mobile);
CREATE INDEX customer_by_holder ON customer (identity_number, name);
CREATE TABLE match_token (
    token TEXT PRIMARY KEY, user TEXT NOT NULL, accounts TEXT NOT NULL, expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE one_time_code (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, user TEXT NOT NULL, code TEXT NOT NULL,
    sent_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, tries INTEGER NOT NULL, used INTEGER NOT NULL
);
CREATE INDEX one_time_code_of_account ON one_time_code (account, sent_ms);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, mobile TEXT NOT NULL, code TEXT NOT NULL,
    text TEXT NOT NULL, sent_ms INTEGER NOT NULL
);
CREATE TABLE binding (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, account TEXT NOT NULL, proof TEXT NOT NULL,
    bound_ms INTEGER NOT NULL, unbound_ms INTEGER
);
CREATE INDEX binding_of_user ON binding (user, account);
CREATE UNIQUE INDEX binding_in_force ON binding (user, account) WHERE unbound_ms IS NULL;
CREATE TABLE real_name (
    user TEXT PRIMARY KEY, name TEXT NOT NULL, identity_number TEXT NOT NULL, verified_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE contact (account TEXT PRIMARY KEY, email TEXT, mailing_address TEXT) WITHOUT ROWID;
CREATE TABLE consent (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, user TEXT NOT NULL, purpose TEXT NOT NULL,
    version TEXT NOT NULL, given_at TEXT NOT NULL
);
-- There from the start, for examples: a token that never ends, and two bindings. 1782867600000 is 2026-07-01 09:00.
INSERT INTO match_token VALUES ('demo-match-token-0001', 'demo-user', '3210000000001', 4102329600000);
INSERT INTO binding (user, account, proof, bound_ms)
VALUES ('demo-user', '3210000000002', 'first', 1782867600000), ('demo-user', '3210000000003', 'first', 1782867600000);
"""
