DROP INDEX authflow.sessions_by_user;
DROP INDEX authflow.users_erased;
COMMENT ON COLUMN authflow.users.credentials_version IS 'Raised whenever the password is set, so that a login checked against the old one starts no session.';
ALTER TABLE authflow.users DROP COLUMN erased_at;
