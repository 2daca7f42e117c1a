//! The published keys.

use actix_authflow::testing::TestDatabase;
use actix_authflow::{RotateKeys, SigningAlgorithm};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::node::{Node, config};

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).unwrap().to_str().unwrap()
}

#[actix_web::test]
async fn public_members_only_of_every_key_that_verifies() {
    for (algorithm, members) in [
        (SigningAlgorithm::EdDsa, vec!["alg", "crv", "kid", "kty", "use", "x"]),
        (SigningAlgorithm::Es256, vec!["alg", "crv", "kid", "kty", "use", "x", "y"]),
    ] {
        let database = TestDatabase::new();
        let node = Node::start(config(&database).signing_algorithm(algorithm)).await;
        node.auth.rotate_keys(RotateKeys::Announced).await.unwrap();
        let document: Value = node.jwks(None).await.json().await.unwrap();
        let keys = document["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2);
        for key in keys {
            let mut names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, members);
            assert_eq!((&key["alg"], &key["use"]), (&algorithm.as_str().into(), &"sig".into()));
        }
    }
}

#[actix_web::test]
async fn whoever_has_the_document_is_not_sent_it_again() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    let first = node.jwks(None).await;
    assert_eq!(header(&first, "cache-control"), "public, max-age=300");
    assert_eq!(header(&first, "content-type"), "application/json");
    let tag = header(&first, "etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 40, "{tag}");

    for known in [&*tag, "*", &format!("\"other\", {tag}"), &format!("W/{tag}")] {
        let again = node.jwks(Some(known)).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(header(&again, "etag"), tag);
        assert_eq!(header(&again, "cache-control"), "public, max-age=300");
        assert!(again.bytes().await.unwrap().is_empty());
    }
    for unknown in ["\"other\"", "nonsense", ""] {
        assert_eq!(node.jwks(Some(unknown)).await.status(), StatusCode::OK, "{unknown}");
    }
    node.auth.rotate_keys(RotateKeys::Announced).await.unwrap();
    let changed = node.jwks(Some(&tag)).await;
    assert_eq!(changed.status(), StatusCode::OK);
    assert_ne!(header(&changed, "etag"), tag);
}
