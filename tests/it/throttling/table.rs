//! What is stored of attempts, and for how long.

use super::{guess, throttled};
use crate::support::{Browser, TestApp};

#[actix_web::test]
async fn neither_names_nor_addresses_are_stored() {
    let app = TestApp::start().await;
    guess(&app, "stranger@example.com").await.expect(401);
    let rows = app.db_texts("SELECT a::text AS value FROM authflow.attempts a");
    assert_eq!(rows.len(), 4, "{rows:?}");
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for row in rows.into_iter().flatten() {
        for known in ["stranger", "example", "127.0.0.1", &hex("stranger"), "7f000001"] {
            assert!(!row.contains(known), "{row}");
        }
    }
}

#[actix_web::test]
async fn housekeeping_deletes_what_no_longer_matters_and_nothing_else() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..5 {
        guess(&app, "alice@example.com").await.expect(401);
    }
    assert_eq!(app.auth.prune().await.unwrap().attempts, 0);
    throttled(guess(&app, "alice@example.com").await);

    // Addresses are forgotten first, then the account at its address, then the account, then the account at its site.
    for (hours, deleted) in [(1, 2), (1, 1), (3, 0), (1, 1), (23, 0), (2, 1)] {
        app.db_age_attempts(hours * 60 * 60);
        assert_eq!(app.auth.prune().await.unwrap().attempts, deleted, "after {hours} more hours");
    }
    assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.attempts"), 0);
}

/// However many accounts are guessed at, each is remembered for an hour and a minute, and with its site for six hours.
#[actix_web::test]
async fn one_guess_at_each_of_many_accounts_leaves_nothing_for_long() {
    let app = TestApp::start().await;
    for n in 0..20 {
        guess(&app, &format!("user{n}@example.com")).await.expect(401);
    }
    assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.attempts"), 61);
    app.db_age_attempts(61 * 60);
    assert_eq!(app.auth.prune().await.unwrap().attempts, 41);
    app.db_age_attempts(5 * 60 * 60);
    assert_eq!(app.auth.prune().await.unwrap().attempts, 20);
}

/// Guesses must not make those wait who refresh, and what gives tokens must not be lost.
#[actix_web::test]
async fn counts_are_committed_in_the_background_and_sessions_are_not() {
    let app = TestApp::start().await;
    app.db_execute("CREATE TABLE public.commits (changed text, synchronous text)");
    app.db_execute(
        "CREATE FUNCTION public.note_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.commits VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));
             RETURN NULL;
         END $$",
    );
    for table in ["attempts", "sessions", "refresh_tokens"] {
        app.db_execute(&format!(
            "CREATE CONSTRAINT TRIGGER note_commit AFTER INSERT OR UPDATE OR DELETE ON authflow.{table}
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.note_commit()"
        ));
    }

    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    guess(&app, "alice@example.com").await.expect(401);
    browser.login("alice@example.com").await.expect(200);
    browser.refresh().await.expect(200);

    let seen = "SELECT DISTINCT changed || ' ' || synchronous AS value FROM public.commits ORDER BY value";
    let seen: Vec<_> = app.db_texts(seen).into_iter().flatten().collect();
    assert_eq!(seen, ["attempts off", "refresh_tokens on", "sessions on"]);
}
