ALTER TABLE authflow.users ADD COLUMN password_version integer NOT NULL DEFAULT 0;

-- Devices that were unknown stay unknown.
UPDATE authflow.users SET password_version = credentials_version WHERE credentials_version > 0;

COMMENT ON COLUMN authflow.users.password_version IS 'Raised whenever the password is set, and by nothing else. Devices are known, and attempts are counted, by the password of this version.';
COMMENT ON COLUMN authflow.users.credentials_version IS 'Raised whenever the password is set, all sessions are ended or the user is disabled, so that a login checked before starts no session.';
