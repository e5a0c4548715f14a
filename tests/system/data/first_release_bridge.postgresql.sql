-- The schema of the first release (0.1.0, commit 1da74b7), as that release made it in PostgreSQL (pg_dump --schema-only).
CREATE TABLE public.inbox (
    id character varying(64) NOT NULL,
    sequence bigint NOT NULL,
    owner character varying(64) NOT NULL,
    operation character varying(64) NOT NULL,
    source character varying(160) NOT NULL,
    subject character varying(160) NOT NULL,
    state character varying(16) NOT NULL,
    attempts integer NOT NULL,
    envelope bytea NOT NULL,
    reply bytea,
    reply_to character varying(160) NOT NULL,
    deadline bigint NOT NULL,
    code character varying(64) NOT NULL,
    note character varying(400) NOT NULL,
    received_at bigint NOT NULL,
    calling_at bigint,
    updated_at bigint NOT NULL,
    replied_at bigint,
    decided_at bigint
);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id);
CREATE INDEX inbox_decided ON public.inbox USING btree (owner, decided_at);
CREATE INDEX inbox_state ON public.inbox USING btree (owner, state, updated_at);
CREATE INDEX inbox_unsent ON public.inbox USING btree (owner, replied_at, updated_at);
