CREATE TABLE authflow.attempts (
    key          bytea       PRIMARY KEY CHECK (octet_length(key) = 16),
    kind         text        NOT NULL CHECK (kind IN (
        'device', 'account_and_address', 'account', 'address', 'registrations', 'password_change'
    )),
    failures     integer     NOT NULL CHECK (failures > 0),
    open_at      timestamptz NOT NULL,
    forgotten_at timestamptz NOT NULL
);

CREATE INDEX attempts_by_end ON authflow.attempts (forgotten_at);

COMMENT ON TABLE authflow.attempts IS 'How many passwords were tried, and from when on more may be. A row goes when it no longer matters.';
COMMENT ON COLUMN authflow.attempts.key IS 'Whose attempts: an HMAC under a key that follows from the secret, so that no address of a stranger is stored.';
COMMENT ON COLUMN authflow.attempts.kind IS 'What is counted: logins from a known device, to an account from one address, to an account from all unknown devices, from one address; registrations from one address; changes of one user''s password.';
COMMENT ON COLUMN authflow.attempts.failures IS 'Attempts that failed in a row, or whose end is not known yet.';
COMMENT ON COLUMN authflow.attempts.open_at IS 'No attempt is admitted before this moment. Lies in the past while there is some budget left.';
COMMENT ON COLUMN authflow.attempts.forgotten_at IS 'From this moment on the row counts as absent, and is deleted.';
COMMENT ON INDEX authflow.attempts_by_end IS 'What housekeeping deletes.';
