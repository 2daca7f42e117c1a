//! Two processes: the program `authflow` issues, and this one verifies by the keys it fetches from there.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests is a test too")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use actix_authflow::testing::TestDatabase;
use actix_authflow::{Authenticated, Guard, TokenRefused, Verifier};
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, web};
use serde_json::{Value, json};
use tempfile::TempDir;

/// `authflow serve`, gone with this value.
struct Issuer {
    program: Child,
    base: String,
    place: Place,
}

/// Where the program runs, and with what.
struct Place {
    algorithm: &'static str,
    database: TestDatabase,
    directory: TempDir,
}

impl Place {
    fn authflow(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_authflow"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AUTHFLOW_")) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("DATABASE_URL", self.database.url())
            .env("AUTHFLOW_SECRET", "only for tests: 0123456789 abcdef")
            .env("RUST_LOG", "warn")
            .env("AUTHFLOW_BIND", "127.0.0.1:0")
            .env("AUTHFLOW_SIGNING_ALG", self.algorithm);
        command
    }
}

impl Issuer {
    fn start(algorithm: &'static str) -> Issuer {
        let place = Place { algorithm, database: TestDatabase::new(), directory: TempDir::new().unwrap() };
        let mut program = place.authflow(&["serve"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map(Result::unwrap);
        let listens = lines.find_map(|line| line.strip_prefix("authflow listens on ").map(str::to_owned));
        // It has more to say, and would not survive a closed pipe.
        thread::spawn(move || lines.for_each(drop));
        Issuer { program, base: listens.unwrap(), place }
    }

    fn jwks_url(&self) -> String {
        format!("{}/auth/.well-known/jwks.json", self.base)
    }

    /// Lets another key sign, as an operator does.
    fn rotate(&self) {
        let output = self.place.authflow(&["keys", "rotate", "--now"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    async fn register(&self, name: &str) -> Value {
        let email = format!("{name}@example.com");
        let user = json!({ "email": email, "password": "correct horse battery staple" });
        let answer = reqwest::Client::new().post(format!("{}/auth/register", self.base)).json(&user).send();
        answer.await.unwrap().json().await.unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // In good order, so that it gives its connections back.
        let _ = Command::new("kill").arg(self.program.id().to_string()).status();
        let start = Instant::now();
        while matches!(self.program.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(20) {
                let _ = self.program.kill();
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The signature with one bit flipped.
fn tampered(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{signed}.{other}{}", &signature[1..])
}

async fn another_service_takes_its_tokens(algorithm: &'static str) {
    let issuer = Issuer::start(algorithm);
    let verifier = Verifier::from_jwks_url(&issuer.jwks_url(), "authflow", "authflow").await.unwrap();
    let tokens = issuer.register("alice").await;
    let token = tokens["access_token"].as_str().unwrap();

    let claims = verifier.verify(token).unwrap();
    assert_eq!(json!(claims.user_id()), tokens["user"]["id"]);
    assert_eq!(json!(claims.session_id()), tokens["session_id"]);
    assert_eq!(verifier.verify(&tampered(token)), Err(TokenRefused::Invalid));
    let other_audience = Verifier::from_jwks_url(&issuer.jwks_url(), "authflow", "another").await.unwrap();
    assert_eq!(other_audience.verify(token), Err(TokenRefused::Invalid));

    let me = web::get().to(async |user: Authenticated| user.id().to_string());
    let scope = web::scope("/api").wrap(Guard::new(verifier)).route("/me", me);
    let app = init_service(App::new().service(scope)).await;
    for (token, expected) in [(token, StatusCode::OK), (&tampered(token), StatusCode::UNAUTHORIZED)] {
        let request =
            TestRequest::get().uri("/api/me").insert_header(("Authorization", format!("Bearer {token}")));
        let status = match try_call_service(&app, request.to_request()).await {
            Ok(answer) => answer.status(),
            Err(refused) => refused.as_response_error().status_code(),
        };
        assert_eq!(status, expected);
    }
}

#[actix_web::test]
async fn another_service_takes_tokens_signed_with_ed25519() {
    another_service_takes_its_tokens("EdDSA").await;
}

#[actix_web::test]
async fn another_service_takes_tokens_signed_with_p256() {
    another_service_takes_its_tokens("ES256").await;
}

/// Without anybody telling the service: the first token of the new key has it look.
#[actix_web::test]
async fn another_service_follows_a_rotation_and_logs_nobody_out() {
    let issuer = Issuer::start("EdDSA");
    let verifier = Verifier::from_jwks_url(&issuer.jwks_url(), "authflow", "authflow").await.unwrap();
    let token = async |name: &str| issuer.register(name).await["access_token"].as_str().unwrap().to_owned();
    let kid = |token: &str| token.split('.').next().unwrap().to_owned();
    let before = token("alice").await;
    assert!(verifier.verify(&before).is_ok());

    issuer.rotate();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut after = token("bob0").await;
    for count in 1.. {
        if kid(&after) != kid(&before) {
            break;
        }
        assert!(Instant::now() < deadline, "the new key does not sign");
        tokio::time::sleep(Duration::from_millis(500)).await;
        after = token(&format!("bob{count}")).await;
    }

    assert_eq!(verifier.verify(&after), Err(TokenRefused::Invalid), "a key that it does not know yet");
    while verifier.verify(&after).is_err() {
        assert!(Instant::now() < deadline, "the new key does not arrive");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(verifier.verify(&before).is_ok());
}

/// An issuer that signs with a shared secret publishes no key.
#[actix_web::test]
async fn there_is_no_verifier_for_an_issuer_without_public_keys() {
    let issuer = Issuer::start("HS256");
    let error = Verifier::from_jwks_url(&issuer.jwks_url(), "authflow", "authflow").await.err().unwrap();
    assert!(error.to_string().ends_with("cannot be used: the key set is empty"), "{error}");
}
