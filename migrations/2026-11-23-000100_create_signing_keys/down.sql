UPDATE authflow.sessions SET revoked_reason = 'revoked_by_host' WHERE revoked_reason = 'key_compromised';
ALTER TABLE authflow.sessions DROP CONSTRAINT sessions_revoked_reason_check;
ALTER TABLE authflow.sessions ADD CONSTRAINT sessions_revoked_reason_check CHECK (revoked_reason IN (
    'logged_out', 'replaced', 'revoked_by_user', 'revoked_by_host', 'password_changed', 'reuse',
    'user_disabled', 'user_deleted', 'evicted', 'idle', 'expired', 'database_restored'
));
ALTER TABLE authflow.refresh_tokens DROP COLUMN signed_by;
DROP TABLE authflow.signing_keys;
