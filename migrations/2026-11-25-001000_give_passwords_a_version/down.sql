COMMENT ON COLUMN authflow.users.credentials_version IS 'Raised whenever the password is set or all sessions are ended, so that a login checked before starts no session.';
ALTER TABLE authflow.users DROP COLUMN password_version;
