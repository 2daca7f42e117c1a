// @generated automatically by Diesel CLI.

pub mod authflow {
    diesel::table! {
        /// How many passwords were tried, and from when on more may be. A row goes when it no longer matters.
        authflow.attempts (key) {
            /// Whose attempts: an HMAC under a key that follows from the secret, so that no address of a stranger is stored.
            key -> Bytea,
            /// What is counted: logins from a known device, to an account from one address, to an account from one site (many neighbouring addresses), to an account from all unknown devices, from one address; registrations from one address; changes of one user's password.
            kind -> Text,
            /// Attempts that failed in a row, or whose end is not known yet.
            failures -> Int4,
            /// No attempt is admitted before this moment. Lies in the past while there is some budget left.
            open_at -> Timestamptz,
            /// From this moment on the row counts as absent, and is deleted.
            forgotten_at -> Timestamptz,
        }
    }

    diesel::table! {
        /// Security events, if AUTHFLOW_EVENTS_RETENTION says for how long. Append-only; housekeeping deletes what is older. Refers to no other table, so that what happened to a deleted user stays until then.
        authflow.events (id) {
            /// The order of writing. Of several nodes it is not that of happening.
            id -> Int8,
            /// When it happened.
            occurred_at -> Timestamptz,
            /// What happened: `logged_in`, `login_failed`, `session_ended`, ...
            event -> Text,
            /// Why, from a list for each event. Null for those that have none.
            reason -> Nullable<Text>,
            /// On whose behalf: a client by a request, the application, or the service by itself.
            actor -> Text,
            /// The address of the client.
            address -> Nullable<Text>,
            /// The user it concerns, where that is known.
            user_id -> Nullable<Uuid>,
            /// The session it concerns, where there is one.
            session_id -> Nullable<Uuid>,
            /// What the event has besides: `kid`, `retry_after`, `refresh_session_id`.
            details -> Nullable<Jsonb>,
            /// Drawn before the event is stored, so that one whose storing was not answered is not stored twice. Null for events of earlier versions.
            event_id -> Nullable<Uuid>,
        }
    }

    diesel::table! {
        /// The rotation chains: the rows of one session in order. Append-only; the primary key makes a fork impossible.
        authflow.refresh_tokens (session_id, generation) {
            /// The session whose chain this row belongs to.
            session_id -> Uuid,
            /// The place in the chain: 0, 1, 2, ...
            generation -> Int4,
            /// SHA-256 of the token. The token itself is never stored.
            digest -> Bytea,
            /// Random input to the derivation of this token from its predecessor; worthless without that.
            nonce -> Bytea,
            /// When this generation was added.
            issued_at -> Timestamptz,
            /// The idle end: unused until then, the session is over.
            expires_at -> Timestamptz,
            /// The keys (`kid`) that signed the access tokens given with this generation: one, or more where a retry fell upon a change of keys. Empty for rows of versions before the key table.
            signed_by -> Array<Nullable<Text>>,
        }
    }

    diesel::table! {
        /// One login on one device. Kept after its end until no access token of it can still be valid.
        authflow.sessions (id) {
            /// UUIDv7. The `sid` claim of access tokens.
            id -> Uuid,
            /// Whose session it is.
            user_id -> Uuid,
            /// How the refresh token travels, for the session's whole life: `cookie` or `body`.
            transport -> Text,
            /// Whether the cookie outlives the browser (`remember`).
            persistent -> Bool,
            /// What the client calls its device.
            device_name -> Nullable<Text>,
            /// The User-Agent of the login, cut and without control characters.
            user_agent -> Nullable<Text>,
            /// The client's address at the login.
            ip -> Nullable<Text>,
            /// When the password was last given. The `auth_time` claim.
            authenticated_at -> Timestamptz,
            /// When the session started.
            created_at -> Timestamptz,
            /// The absolute end: no rotation extends it.
            expires_at -> Timestamptz,
            /// When the session was ended. Null: not ended.
            revoked_at -> Nullable<Timestamptz>,
            /// Why the session was ended.
            revoked_reason -> Nullable<Text>,
        }
    }

    diesel::table! {
        /// The keys of access tokens, past ones included. A handful of rows: one per rotation, deleted when no session can hold a token of it.
        authflow.signing_keys (kid) {
            /// The key id in the header of tokens: the RFC 7638 thumbprint of the public key.
            kid -> Text,
            /// The one algorithm the key is used with, as in the `alg` header.
            algorithm -> Text,
            /// Where the private key is: `stored` in this row, `given` by hand to the nodes, or `derived` from AUTHFLOW_SECRET.
            origin -> Text,
            /// announced: published, does not sign yet. signing: signs. retired: verifies only. compromised: refused everywhere.
            state -> Text,
            /// The public key as published (RFC 7517). Null for HS256, which has none.
            public_jwk -> Nullable<Text>,
            /// The private key under AES-256-GCM with a key derived from AUTHFLOW_SECRET. Null from the moment it no longer signs.
            sealed_private_key -> Nullable<Bytea>,
            /// HMAC-SHA-256 over key id, algorithm and public key with a key derived from AUTHFLOW_SECRET: a row that somebody else put here verifies nothing. Null once compromised.
            tag -> Nullable<Bytea>,
            /// When the key was made known; it is published since.
            created_at -> Timestamptz,
            /// When it is to sign, for an announced key; else when it began to.
            signs_from -> Timestamptz,
            /// When it stopped signing.
            retired_at -> Nullable<Timestamptz>,
            /// When a retired key is forgotten: no session lives that has a token of it.
            expires_at -> Nullable<Timestamptz>,
            /// When it was declared compromised.
            compromised_at -> Nullable<Timestamptz>,
        }
    }

    diesel::table! {
        /// The people (or accounts of the host application) that can hold sessions.
        authflow.users (id) {
            /// UUIDv7. The `sub` claim of access tokens.
            id -> Uuid,
            /// The e-mail address as it was typed. Null for users known by `external_id` only.
            email -> Nullable<Text>,
            /// The address by which a login finds the user: NFC, ASCII lower case, domain in its IDNA form.
            email_canonical -> Nullable<Text>,
            /// The key of this user in the host application's own tables. Null where there is none.
            external_id -> Nullable<Text>,
            /// Argon2id PHC string, or a foreign hash that the host's verify hook understands. Null: no password login.
            password_hash -> Nullable<Text>,
            /// Raised whenever the password is set, all sessions are ended or the user is disabled, so that a login checked before starts no session.
            credentials_version -> Int4,
            /// Roles, copied into the `roles` claim when a token is issued.
            roles -> Array<Nullable<Text>>,
            /// Granted scopes, copied into the `scope` claim when a token is issued.
            scopes -> Array<Nullable<Text>>,
            /// When the user was disabled. Null: enabled.
            disabled_at -> Nullable<Timestamptz>,
            /// When the row was made.
            created_at -> Timestamptz,
            /// When e-mail, password, roles, scopes or `disabled_at` last changed.
            updated_at -> Timestamptz,
            /// When the user was deleted. The bare row goes when no session refers to it any more. Null: not deleted.
            erased_at -> Nullable<Timestamptz>,
            /// Raised whenever the password is set, and by nothing else. Devices are known, and attempts are counted, by the password of this version.
            password_version -> Int4,
        }
    }

    diesel::joinable!(refresh_tokens -> sessions (session_id));
    diesel::joinable!(sessions -> users (user_id));

    diesel::allow_tables_to_appear_in_same_query!(
        attempts,
        events,
        refresh_tokens,
        sessions,
        signing_keys,
        users,
    );
}
