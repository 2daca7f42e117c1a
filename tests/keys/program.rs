//! `authflow keys`.

use std::process::{Command, Output};

use actix_authflow::testing::TestDatabase;

use crate::node::{Node, SECRET, config, db_kid, eventually};

fn authflow(database: &TestDatabase, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authflow"));
    command.arg("keys").args(arguments).env("DATABASE_URL", database.url()).env("AUTHFLOW_SECRET", SECRET);
    command.output().unwrap()
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
