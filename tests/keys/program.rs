//! `authflow keys`.

use std::process::{Command, Output};

use actix_authflow::SigningAlgorithm;
use actix_authflow::testing::TestDatabase;

use crate::node::{Node, SECRET, config, db_kid, db_states, db_values, eventually};

fn command(database: &TestDatabase, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authflow"));
    command.args(arguments).env("DATABASE_URL", database.url()).env("AUTHFLOW_SECRET", SECRET);
    command
}

fn authflow(database: &TestDatabase, arguments: &[&str]) -> Output {
    command(database, &[&["keys"], arguments].concat()).output().unwrap()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[actix_web::test]
async fn keys_are_listed_rotated_and_compromised_from_the_command_line() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    let tokens = node.register("a@example.com").await;
    let listed = printed(&authflow(&database, &["list"]));
    let line = listed.lines().nth(1).unwrap();
    assert!(line.starts_with(&tokens.kid()) && line.contains("signing"), "{listed}");

    let rotated = printed(&authflow(&database, &["rotate"]));
    let successor = db_kid(&database, "announced");
    assert!(rotated.starts_with(&successor), "{rotated}");
    assert!(printed(&authflow(&database, &["rotate", "--now"])).starts_with(&successor));
    eventually("signing", async || node.signs_with().await == successor).await;

    let compromised = printed(&authflow(&database, &["compromise", &tokens.kid()]));
    assert!(compromised.contains("sessions ended: 1"), "{compromised}");
    eventually("refused", async || !node.accepts(&tokens.access).await).await;
    let listed = printed(&authflow(&database, &["list"]));
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.contains("compromised"), "{listed}");

    // A key id may begin with a hyphen, and look like an option.
    for kid in ["nonsense", "-yz0Gc7_O_WhlHK6lOL20wNACVz081QOSNTW51IBgNg", "-hVx", "--help-me"] {
        let unknown = authflow(&database, &["compromise", kid]);
        assert!(!unknown.status.success(), "{kid}");
        let complaint = String::from_utf8_lossy(&unknown.stderr);
        assert_eq!(complaint.trim(), "authflow: there is no such signing key", "{kid}");
    }
    assert!(printed(&authflow(&database, &["compromise", "--help"])).contains("<KID>"));
}

/// What looks after a deployment and changes none of its keys.
const TOOLS: [&[&str]; 3] = [&["keys", "list"], &["prune"], &["sessions", "revoke", "--all"]];

/// An operator's shell seldom has all that the service is started with.
#[actix_web::test]
async fn a_tool_with_other_settings_changes_no_key() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database).signing_algorithm(SigningAlgorithm::Es256)).await;
    node.register("a@example.com").await;
    for tool in TOOLS {
        let output = command(&database, tool).env_remove("AUTHFLOW_SIGNING_ALG").output().unwrap();
        assert!(output.status.success(), "{tool:?}: {output:?}");
        assert_eq!(db_states(&database), ["signing"], "{tool:?}");
    }
    let sessions = "SELECT revoked_reason AS value FROM authflow.sessions";
    assert_eq!(db_values(&database, sessions), ["revoked_by_host"]);
}

#[test]
fn a_tool_leaves_the_migrations_to_others() {
    let database = TestDatabase::empty();
    for tool in TOOLS {
        let output = command(&database, tool).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complaint.contains("authflow migrate"), "{tool:?}: {output:?}");
        let schema = "SELECT nspname::text AS value FROM pg_namespace WHERE nspname = 'authflow'";
        assert_eq!(db_values(&database, schema), [""; 0], "{tool:?}");
    }
}
