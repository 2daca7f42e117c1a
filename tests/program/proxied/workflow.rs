//! The workflow through nginx and TLS, with a client that keeps cookies as browsers do.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Examined, Nginx, TRUSTED};
use crate::process::text;
use crate::support::PASSWORD;

/// curl, which looks at `Secure`, `Path` and the prefix of the name.
struct Client<'a> {
    nginx: &'a Nginx,
    jar: &'a Path,
}

impl Client<'_> {
    /// Status and body of a request with cookies.
    fn post(&self, path: &str, token: Option<&str>, body: Option<Value>) -> (u16, Value) {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--write-out",
            "\n%{http_code}",
            "--request",
            "POST",
            "--max-time",
            "60",
        ]);
        curl.arg("--cacert").arg(self.nginx.authority()).arg("--cookie").arg(self.jar);
        curl.arg("--cookie-jar")
            .arg(self.jar)
            .args(["--header", &format!("Origin: https://localhost:{}", self.nginx.port())]);
        if let Some(token) = token {
            curl.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        if let Some(body) = body {
            curl.args(["--header", "Content-Type: application/json", "--data", &body.to_string()]);
        }
        let output = curl.arg(format!("{}{path}", self.nginx.url())).output().expect("curl");
        let answer = text(&output.stdout);
        let (body, status) = answer.rsplit_once('\n').unwrap_or_else(|| panic!("{}", text(&output.stderr)));
        (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }
}

#[test]
fn the_cookie_lives_through_the_workflow() {
    let examined = Examined::with(&TRUSTED);
    let Some(nginx) = Nginx::before(examined.program.address, &[]) else { return };
    let jar = examined.directory.path().join("cookies");
    let client = Client { nginx: &nginx, jar: &jar };
    let credentials = json!({ "email": "alice@example.com", "password": PASSWORD });
    let (status, tokens) = client.post("/register", None, Some(credentials));
    assert_eq!(status, 201, "{tokens}");
    let token = tokens["access_token"].as_str().unwrap();
    let cookies = || std::fs::read_to_string(&jar).unwrap();
    let first = cookies();
    assert!(first.contains("__Host-Http-refresh_token\trt_"), "{first}");

    let (status, refreshed) = client.post("/refresh", Some(token), None);
    assert_eq!(status, 200, "{refreshed}");
    assert_eq!(refreshed["session_id"], tokens["session_id"]);
    assert_ne!(cookies(), first);

    assert_eq!(client.post("/logout", Some(token), None).0, 204);
    assert!(!cookies().contains("refresh_token"), "{}", cookies());
    assert_eq!(client.post("/refresh", Some(token), None).0, 401);
}
