DELETE FROM authflow.attempts WHERE kind = 'account_and_site';
ALTER TABLE authflow.attempts DROP CONSTRAINT attempts_kind_check;
ALTER TABLE authflow.attempts ADD CONSTRAINT attempts_kind_check CHECK (kind IN (
    'device', 'account_and_address', 'account', 'address', 'registrations', 'password_change'
));

COMMENT ON COLUMN authflow.attempts.kind IS 'What is counted: logins from a known device, to an account from one address, to an account from all unknown devices, from one address; registrations from one address; changes of one user''s password.';
