//! The documents keep their word: the test that the README prints runs, its table has every variable, and links lead
//! somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use actix_authflow::testing::TestDatabase;
use actix_authflow::{Auth, AuthConfig, ServerSecret};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, http::StatusCode};
use serde_json::json;

#[actix_web::test]
async fn whoever_registers_is_logged_in() {
    let database = TestDatabase::new();
    let secret = ServerSecret::new("only for tests: 0123456789 abcdef").unwrap();
    let auth = Auth::connect(AuthConfig::new(database.url(), secret)).await.unwrap();
    let app = init_service(App::new().configure(auth.routes("/auth"))).await;

    let alice = json!({ "email": "alice@example.com", "password": "correct horse battery staple" });
    let request = TestRequest::post().uri("/auth/register").set_json(alice).to_request();
    let answer = call_service(&app, request).await;

    assert_eq!(answer.status(), StatusCode::CREATED);
    assert!(answer.headers().contains_key("set-cookie"));
}

#[test]
fn the_test_in_the_readme_is_the_one_above() {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, rest) = readme.split_once("#[actix_web::test]\n").unwrap();
    let (printed, _) = rest.split_once("```").unwrap();
    assert!(include_str!("readme.rs").contains(printed), "{printed}");
}

/// What stands between `before` and the next quotation mark, wherever it stands.
fn names<'a>(text: &'a str, before: &str, end: char) -> BTreeSet<&'a str> {
    let is_name = |name: &&str| *name == "DATABASE_URL" || name.starts_with("AUTHFLOW_");
    text.split(before).skip(1).filter_map(|rest| rest.split(end).next()).filter(is_name).collect()
}

#[test]
fn every_variable_is_in_the_table() {
    let source = fs::read_to_string("src/config/env.rs").unwrap();
    let (source, _) = source.split_once("#[cfg(test)]").unwrap();
    let readme = fs::read_to_string("README.md").unwrap();
    let mut known = names(source, "\"", '"');
    known.remove("AUTHFLOW_"); // the prefix itself
    assert!(known.len() > 20);
    assert_eq!(names(&readme, "\n| `", '`'), known);
}

#[test]
fn every_link_leads_to_a_file() {
    let mut documents: Vec<_> = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path()).collect();
    documents.extend(["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(Into::into));
    for document in
        documents.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"))
    {
        let text = fs::read_to_string(document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            if link.starts_with("https://") {
                continue;
            }
            let target = match file {
                "" => document.clone(),
                _ => document.parent().unwrap_or(Path::new("")).join(file),
            };
            assert!(target.exists(), "{}: {link}", document.display());
            if !heading.is_empty() {
                let headings = headings(&fs::read_to_string(&target).unwrap());
                assert!(headings.contains(heading), "{}: {link}", document.display());
            }
        }
    }
}

/// A rule that asks for a metric that is not there never fires, and one without a place in the manual helps nobody.
#[test]
fn every_alert_asks_for_metrics_that_exist_and_has_its_place_in_the_manual() {
    let rules = fs::read_to_string("deploy/prometheus/alerts.yml").unwrap();
    let manual = fs::read_to_string("docs/OPERATIONS.md").unwrap();
    let metrics: BTreeSet<_> = names_of_metrics(manual.split("\n| `").skip(1)).collect();
    assert!(metrics.len() > 15);
    let asked_for: BTreeSet<_> =
        names_of_metrics(rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')).collect();
    assert!(asked_for.len() > 8);
    for name in asked_for {
        let ends = ["_bucket", "_sum", "_count"].iter().filter_map(|end| name.strip_suffix(end));
        assert!(ends.chain([name]).any(|name| metrics.contains(name)), "there is no {name}");
    }
    let headings = headings(&manual);
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let places: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("runbook: ")).collect();
    assert_eq!(alerts.len(), places.len());
    for (alert, place) in alerts.iter().zip(places) {
        assert_eq!(place, format!("docs/OPERATIONS.md#{}", alert.to_lowercase()));
        assert!(headings.contains(&alert.to_lowercase()), "{alert} is not in the manual");
    }
    let tried = fs::read_to_string("deploy/prometheus/alerts_test.yml").unwrap();
    for alert in alerts {
        assert!(tried.contains(&format!("it fires, {alert}\n")), "{alert} is not tried");
    }
}

/// What begins each of these texts, if it is the name of a metric.
fn names_of_metrics<'a>(texts: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    texts.filter(|text| text.starts_with("authflow_")).filter_map(|text| text.split('`').next())
}

/// The anchors of a document's headings: lower case, spaces as hyphens, and of the rest only letters, digits and `_`.
fn headings(text: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| -> String {
        let lower = heading.trim().to_lowercase().replace(' ', "-");
        lower.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_').collect()
    };
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}
