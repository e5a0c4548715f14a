-- The schema of the first release (0.1.0, commit 1da74b7), as that release made it in PostgreSQL (pg_dump --schema-only).
CREATE TABLE public.applications (
    name character varying(64) NOT NULL,
    key_hash bytea NOT NULL,
    scopes text NOT NULL,
    networks text NOT NULL,
    rate double precision NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint
);
CREATE TABLE public.requests (
    id character varying(36) NOT NULL,
    front character varying(64) NOT NULL,
    application character varying(64) NOT NULL,
    idempotency_key character varying(64) NOT NULL,
    fingerprint bytea NOT NULL,
    operation character varying(64) NOT NULL,
    destination character varying(160) NOT NULL,
    state character varying(16) NOT NULL,
    code character varying(64) NOT NULL,
    envelope bytea NOT NULL,
    reply bytea,
    accepted_at bigint NOT NULL,
    sent_at bigint,
    updated_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    sends integer NOT NULL
);
ALTER TABLE ONLY public.applications
    ADD CONSTRAINT applications_key_hash_key UNIQUE (key_hash);
ALTER TABLE ONLY public.applications
    ADD CONSTRAINT applications_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX requests_idempotency ON public.requests USING btree (application, idempotency_key);
CREATE INDEX requests_state ON public.requests USING btree (state, sent_at);
