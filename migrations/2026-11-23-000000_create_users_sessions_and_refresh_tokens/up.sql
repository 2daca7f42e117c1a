-- IF NOT EXISTS would ask for the right to create schemas even where an administrator has made this one.
DO $$ BEGIN
    IF to_regnamespace('authflow') IS NULL THEN
        CREATE SCHEMA authflow;
    END IF;
END $$;

CREATE TABLE authflow.users (
    id                  uuid        PRIMARY KEY,
    email               text        CHECK (octet_length(email) <= 254),
    email_canonical     text        UNIQUE CHECK (octet_length(email_canonical) <= 254),
    external_id         text        UNIQUE CHECK (octet_length(external_id) BETWEEN 1 AND 255),
    password_hash       text        CHECK (octet_length(password_hash) <= 1024),
    credentials_version integer     NOT NULL DEFAULT 0,
    roles               text[]      NOT NULL DEFAULT '{}',
    scopes              text[]      NOT NULL DEFAULT '{}',
    disabled_at         timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    CHECK ((email IS NULL) = (email_canonical IS NULL))
);

COMMENT ON TABLE authflow.users IS 'The people (or accounts of the host application) that can hold sessions.';
COMMENT ON COLUMN authflow.users.id IS 'UUIDv7. The `sub` claim of access tokens.';
COMMENT ON COLUMN authflow.users.email IS 'The e-mail address as it was typed. Null for users known by `external_id` only.';
COMMENT ON COLUMN authflow.users.email_canonical IS 'The address by which a login finds the user: NFC, ASCII lower case, domain in its IDNA form.';
COMMENT ON COLUMN authflow.users.external_id IS 'The key of this user in the host application''s own tables. Null where there is none.';
COMMENT ON COLUMN authflow.users.password_hash IS 'Argon2id PHC string, or a foreign hash that the host''s verify hook understands. Null: no password login.';
COMMENT ON COLUMN authflow.users.credentials_version IS 'Raised whenever the password is set, so that a login checked against the old one starts no session.';
COMMENT ON COLUMN authflow.users.roles IS 'Roles, copied into the `roles` claim when a token is issued.';
COMMENT ON COLUMN authflow.users.scopes IS 'Granted scopes, copied into the `scope` claim when a token is issued.';
COMMENT ON COLUMN authflow.users.disabled_at IS 'When the user was disabled. Null: enabled.';
COMMENT ON COLUMN authflow.users.created_at IS 'When the row was made.';
COMMENT ON COLUMN authflow.users.updated_at IS 'When e-mail, password, roles, scopes or `disabled_at` last changed.';

CREATE TABLE authflow.sessions (
    id               uuid        PRIMARY KEY,
    user_id          uuid        NOT NULL REFERENCES authflow.users (id),
    transport        text        NOT NULL CHECK (transport IN ('cookie', 'body')),
    persistent       boolean     NOT NULL,
    device_name      text        CHECK (octet_length(device_name) <= 256),
    user_agent       text        CHECK (octet_length(user_agent) <= 512),
    ip               text        CHECK (octet_length(ip) <= 45),
    authenticated_at timestamptz NOT NULL,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    revoked_at       timestamptz,
    revoked_reason   text        CHECK (revoked_reason IN (
        'logged_out', 'replaced', 'revoked_by_user', 'revoked_by_host', 'password_changed', 'reuse',
        'user_disabled', 'user_deleted', 'evicted', 'idle', 'expired', 'database_restored'
    )),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);

-- A user's live sessions, for lists and for ending them all.
CREATE INDEX sessions_live_by_user ON authflow.sessions (user_id) WHERE revoked_at IS NULL;
-- What every node re-reads each second.
CREATE INDEX sessions_by_revocation ON authflow.sessions (revoked_at) WHERE revoked_at IS NOT NULL;

COMMENT ON TABLE authflow.sessions IS 'One login on one device. Kept after its end until no access token of it can still be valid.';
COMMENT ON COLUMN authflow.sessions.id IS 'UUIDv7. The `sid` claim of access tokens.';
COMMENT ON COLUMN authflow.sessions.user_id IS 'Whose session it is.';
COMMENT ON COLUMN authflow.sessions.transport IS 'How the refresh token travels, for the session''s whole life: `cookie` or `body`.';
COMMENT ON COLUMN authflow.sessions.persistent IS 'Whether the cookie outlives the browser (`remember`).';
COMMENT ON COLUMN authflow.sessions.device_name IS 'What the client calls its device.';
COMMENT ON COLUMN authflow.sessions.user_agent IS 'The User-Agent of the login, cut and without control characters.';
COMMENT ON COLUMN authflow.sessions.ip IS 'The client''s address at the login.';
COMMENT ON COLUMN authflow.sessions.authenticated_at IS 'When the password was last given. The `auth_time` claim.';
COMMENT ON COLUMN authflow.sessions.created_at IS 'When the session started.';
COMMENT ON COLUMN authflow.sessions.expires_at IS 'The absolute end: no rotation extends it.';
COMMENT ON COLUMN authflow.sessions.revoked_at IS 'When the session was ended. Null: not ended.';
COMMENT ON COLUMN authflow.sessions.revoked_reason IS 'Why the session was ended.';

CREATE TABLE authflow.refresh_tokens (
    session_id uuid        NOT NULL REFERENCES authflow.sessions (id) ON DELETE CASCADE,
    generation integer     NOT NULL CHECK (generation >= 0),
    digest     bytea       NOT NULL CHECK (octet_length(digest) = 32),
    nonce      bytea       NOT NULL CHECK (octet_length(nonce) = 16),
    issued_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, generation)
);

COMMENT ON TABLE authflow.refresh_tokens IS 'The rotation chains: the rows of one session in order. Append-only; the primary key makes a fork impossible.';
COMMENT ON COLUMN authflow.refresh_tokens.session_id IS 'The session whose chain this row belongs to.';
COMMENT ON COLUMN authflow.refresh_tokens.generation IS 'The place in the chain: 0, 1, 2, ...';
COMMENT ON COLUMN authflow.refresh_tokens.digest IS 'SHA-256 of the token. The token itself is never stored.';
COMMENT ON COLUMN authflow.refresh_tokens.nonce IS 'Random input to the derivation of this token from its predecessor; worthless without that.';
COMMENT ON COLUMN authflow.refresh_tokens.issued_at IS 'When this generation was added.';
COMMENT ON COLUMN authflow.refresh_tokens.expires_at IS 'The idle end: unused until then, the session is over.';
