//! `authflow prune`, for a timer of one's own.

use actix_authflow::testing::TestDatabase;
use diesel::connection::SimpleConnection as _;

use crate::process::{SECRET, directory, run, text};

#[test]
fn one_pass_says_what_it_has_deleted_and_a_second_one_finds_nothing() {
    let (directory, database) = (directory(), TestDatabase::new());
    let sessions = "INSERT INTO authflow.users (id, email, email_canonical) VALUES (gen_random_uuid(), 'a@b.example', 'a@b.example');
         INSERT INTO authflow.sessions (id, user_id, transport, persistent, authenticated_at, created_at, expires_at)
         SELECT gen_random_uuid(), id, 'cookie', true, t, t, t + interval '30 days'
         FROM authflow.users, generate_series(1, 3) n, LATERAL (SELECT now() - n * interval '20 days' AS t) born;
         INSERT INTO authflow.refresh_tokens (session_id, generation, digest, nonce, issued_at, expires_at)
         SELECT id, 0, sha256(id::text::bytea), decode(repeat('00', 16), 'hex'), created_at, expires_at
         FROM authflow.sessions";
    database.connect().batch_execute(sessions).unwrap();
    let prune = || {
        let output = run(directory.path(), "prune", &[("DATABASE_URL", database.url()), SECRET]);
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    };
    let rest = "0 sessions, 0 users, 0 events and 0 counts of attempts deleted\n";
    assert_eq!(prune(), format!("2 sessions ended, 2 refresh tokens, {rest}"));
    assert_eq!(prune(), format!("0 sessions ended, 0 refresh tokens, {rest}"));
}
