//! Where events go.

use super::{Heard, listen};
use crate::support::{Browser, TestApp};

#[actix_web::test]
async fn a_hook_that_panics_harms_no_request() {
    let app = TestApp::with(|config| config.on_event(|_| panic!("a mistake of the application's"))).await;

    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    browser.refresh().await.expect(200);
    browser.refresh().await.expect(200);
    Browser::new(&app).login_with("alice@example.com", "not the password").await.expect(401);
    browser.logout().await.expect(204);
    browser.login("alice@example.com").await.expect(200);
}

#[actix_web::test]
async fn a_request_from_a_foreign_page_is_told_with_the_fault_of_its_origin() {
    let (app, heard) = listen(|config| config).await;
    let mut browser = Browser::new(&app);
    for (origin, fault) in [("https://evil.example", "foreign_origin"), ("null", "opaque")] {
        let request = browser.request(reqwest::Method::POST, "/auth/login").header("Origin", origin);
        browser.send(request).await.refused(403, "csrf_rejected");
        let event = heard.only();
        assert_eq!(super::line(&event), format!("origin_rejected {fault} client"));
        assert!(!event.to_string().contains("evil"), "{event}");
    }
}

#[actix_web::test]
async fn the_first_node_tells_of_the_key_it_made() {
    let heard = Heard::default();
    let app = TestApp::with(|config| heard.by(config)).await;
    assert_eq!(heard.lines(), ["signing_key_changed signing service"]);
    let _second = app.node(|config| heard.by(config)).await;
    assert_eq!(heard.lines(), [""; 0]);
}
