CREATE TABLE authflow.signing_keys (
    kid                text        PRIMARY KEY CHECK (octet_length(kid) BETWEEN 1 AND 64),
    algorithm          text        NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256', 'HS256')),
    origin             text        NOT NULL CHECK (origin IN ('stored', 'given', 'derived')),
    state              text        NOT NULL CHECK (state IN ('announced', 'signing', 'retired', 'compromised')),
    public_jwk         text        CHECK (octet_length(public_jwk) <= 1024),
    sealed_private_key bytea       CHECK (octet_length(sealed_private_key) <= 256),
    tag                bytea       CHECK (octet_length(tag) = 32),
    created_at         timestamptz NOT NULL,
    signs_from         timestamptz NOT NULL,
    retired_at         timestamptz,
    expires_at         timestamptz,
    compromised_at     timestamptz,
    -- A private key is kept for as long as it may sign, and no longer.
    CHECK ((sealed_private_key IS NOT NULL) = (origin = 'stored' AND state IN ('announced', 'signing'))),
    CHECK ((tag IS NULL) = (state = 'compromised')),
    CHECK ((public_jwk IS NULL) = (algorithm = 'HS256')),
    CHECK (state <> 'retired' OR (retired_at IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK ((compromised_at IS NOT NULL) = (state = 'compromised'))
);

-- Whatever the nodes do at the same moment, one key signs.
CREATE UNIQUE INDEX signing_keys_one_signs ON authflow.signing_keys (state) WHERE state = 'signing';

COMMENT ON TABLE authflow.signing_keys IS 'The keys of access tokens, past ones included. A handful of rows: one per rotation, deleted when no session can hold a token of it.';
COMMENT ON COLUMN authflow.signing_keys.kid IS 'The key id in the header of tokens: the RFC 7638 thumbprint of the public key.';
COMMENT ON COLUMN authflow.signing_keys.algorithm IS 'The one algorithm the key is used with, as in the `alg` header.';
COMMENT ON COLUMN authflow.signing_keys.origin IS 'Where the private key is: `stored` in this row, `given` by hand to the nodes, or `derived` from AUTHFLOW_SECRET.';
COMMENT ON COLUMN authflow.signing_keys.state IS 'announced: published, does not sign yet. signing: signs. retired: verifies only. compromised: refused everywhere.';
COMMENT ON COLUMN authflow.signing_keys.public_jwk IS 'The public key as published (RFC 7517). Null for HS256, which has none.';
COMMENT ON COLUMN authflow.signing_keys.sealed_private_key IS 'The private key under AES-256-GCM with a key derived from AUTHFLOW_SECRET. Null from the moment it no longer signs.';
COMMENT ON COLUMN authflow.signing_keys.tag IS 'HMAC-SHA-256 over key id, algorithm and public key with a key derived from AUTHFLOW_SECRET: a row that somebody else put here verifies nothing. Null once compromised.';
COMMENT ON COLUMN authflow.signing_keys.created_at IS 'When the key was made known; it is published since.';
COMMENT ON COLUMN authflow.signing_keys.signs_from IS 'When it is to sign, for an announced key; else when it began to.';
COMMENT ON COLUMN authflow.signing_keys.retired_at IS 'When it stopped signing.';
COMMENT ON COLUMN authflow.signing_keys.expires_at IS 'When a retired key is forgotten: no session lives that has a token of it.';
COMMENT ON COLUMN authflow.signing_keys.compromised_at IS 'When it was declared compromised.';

ALTER TABLE authflow.refresh_tokens ADD COLUMN signed_by text[] NOT NULL DEFAULT '{}';

COMMENT ON COLUMN authflow.refresh_tokens.signed_by IS 'The keys (`kid`) that signed the access tokens given with this generation: one, or more where a retry fell upon a change of keys. Empty for rows of versions before the key table.';

ALTER TABLE authflow.sessions DROP CONSTRAINT sessions_revoked_reason_check;
ALTER TABLE authflow.sessions ADD CONSTRAINT sessions_revoked_reason_check CHECK (revoked_reason IN (
    'logged_out', 'replaced', 'revoked_by_user', 'revoked_by_host', 'password_changed', 'reuse',
    'user_disabled', 'user_deleted', 'evicted', 'idle', 'expired', 'database_restored', 'key_compromised'
));
