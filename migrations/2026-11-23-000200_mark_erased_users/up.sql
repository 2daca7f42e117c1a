ALTER TABLE authflow.users ADD COLUMN erased_at timestamptz;

COMMENT ON COLUMN authflow.users.erased_at IS 'When the user was deleted. The bare row goes when no session refers to it any more. Null: not deleted.';
COMMENT ON COLUMN authflow.users.credentials_version IS 'Raised whenever the password is set or all sessions are ended, so that a login checked before starts no session.';

CREATE INDEX users_erased ON authflow.users (id) WHERE erased_at IS NOT NULL;
CREATE INDEX sessions_by_user ON authflow.sessions (user_id);

COMMENT ON INDEX authflow.users_erased IS 'The few rows that wait to be deleted.';
COMMENT ON INDEX authflow.sessions_by_user IS 'Whether any session, ended ones included, still refers to a user that is to be deleted.';
