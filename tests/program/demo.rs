//! `serve --demo`: the chain as it was seen, and a thief who presents copies in earnest.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Reply, Request};
use crate::served::{Served, cookie, registration};

const LONG_WINDOW: (&str, &str) = ("AUTHFLOW_REFRESH_GRACE", "5m");
const SHORT_WINDOW: (&str, &str) = ("AUTHFLOW_REFRESH_GRACE", "3s");
/// Longer than that.
const LATER: Duration = Duration::from_millis(3_200);

/// A browser that has just registered with a demo.
struct Demo {
    served: Served,
    token: String,
    session: String,
    cookie: String,
}

impl Demo {
    fn with(variables: &[(&str, &str)]) -> Demo {
        let mut served = Served::with_options(&["--demo"], variables);
        let tokens = served.send(&registration()).expect(201);
        let (token, session) = (text(&tokens, "access_token"), text(&tokens, "session_id"));
        Demo { served, token, session, cookie: cookie(&tokens) }
    }

    /// The refresh of the owner, who takes the new cookie if there is one.
    fn refresh(&mut self) -> Reply {
        let request =
            Request::new("POST", "/auth/refresh").bearer(&self.token).header("Cookie", &self.cookie);
        let reply = self.served.send(&request);
        if reply.status == 200 {
            self.cookie = cookie(&reply);
        }
        reply
    }

    fn replay_request(&self, generation: u32) -> Request {
        let path = format!("/demo/sessions/{}/replay/{generation}", self.session);
        Request::new("POST", &path).bearer(&self.token)
    }

    fn replay(&mut self, generation: u32) -> Reply {
        let request = self.replay_request(generation);
        self.served.send(&request)
    }

    fn chain(&mut self) -> Value {
        let path = format!("/demo/sessions/{}", self.session);
        self.served.send(&Request::get(&path)).expect(200).json()
    }

    fn generations(&mut self) -> Vec<u64> {
        let chain = self.chain();
        let generations = chain["generations"].as_array().unwrap().iter();
        generations.map(|generation| generation["generation"].as_u64().unwrap()).collect()
    }
}

fn text(reply: &Reply, member: &str) -> String {
    reply.json()[member].as_str().unwrap().to_owned()
}

/// What a thief is told: who presented what, and what came of it; no token.
#[track_caller]
fn outcome(reply: Reply) -> (u64, Value, Value) {
    let told = reply.without_cookie().expect(200);
    assert!(!told.body.contains("rt_") && !told.body.contains("eyJ"), "{told:?}");
    let json = told.json();
    assert_eq!(json["by"], "thief");
    (json["status"].as_u64().unwrap(), json["code"].clone(), json["received"].clone())
}

#[test]
fn the_chain_is_told_in_numbers_and_times() {
    let mut demo = Demo::with(&[SHORT_WINDOW]);
    assert_eq!(demo.generations(), [0]);
    demo.refresh().expect(200);
    demo.refresh().expect(200); // younger than the window: the same one again
    let chain = demo.chain();
    assert_eq!(chain["window_seconds"], 3);
    assert_eq!(demo.generations(), [0, 1]);
    let presentations: Vec<_> = chain["presentations"].as_array().unwrap().iter().collect();
    for (presentation, (presented, received)) in presentations.iter().zip([(0, 1), (1, 1)]) {
        assert_eq!(presentation["by"], "owner");
        assert_eq!(
            (&presentation["presented"], &presentation["received"]),
            (&json!(presented), &json!(received))
        );
        assert_eq!((&presentation["status"], &presentation["code"]), (&json!(200), &Value::Null));
    }
    assert_eq!(presentations.len(), 2);
    assert!(!chain.to_string().contains("rt_"));
}

#[test]
fn a_copy_that_comes_within_the_window_gets_the_same_successor() {
    let mut demo = Demo::with(&[LONG_WINDOW]);
    demo.refresh().expect(200);
    assert_eq!(outcome(demo.replay(0)), (200, Value::Null, json!(1)));
    assert_eq!(demo.generations(), [0, 1]);
    demo.refresh().expect(200);
}

#[test]
fn a_copy_that_comes_later_ends_the_session() {
    let mut demo = Demo::with(&[SHORT_WINDOW]);
    demo.refresh().expect(200);
    sleep(LATER);
    assert_eq!(outcome(demo.replay(0)), (401, json!("refresh_token_reused"), Value::Null));
    demo.refresh().problem(401, "session_revoked");
    // The page can still show why.
    assert_eq!(demo.chain()["presentations"][1]["code"], "refresh_token_reused");
}

#[test]
fn a_thief_who_is_quicker_is_given_away_by_the_owner() {
    let mut demo = Demo::with(&[SHORT_WINDOW]);
    assert_eq!(outcome(demo.replay(0)), (200, Value::Null, json!(1)));
    sleep(LATER);
    demo.refresh().problem(401, "refresh_token_reused");
    assert_eq!(outcome(demo.replay(1)), (401, json!("session_revoked"), Value::Null));
}

/// A replay is nothing but a refresh: it needs what a refresh needs.
#[test]
fn a_replay_needs_the_jwt_and_the_origin_of_a_refresh() {
    let mut demo = Demo::with(&[SHORT_WINDOW]);
    let request = demo.replay_request(0);
    let mut refusal = |request: &Request| outcome(demo.served.send(request)).1;
    assert_eq!(refusal(&request.clone().without("Authorization")), "access_token_required");
    assert_eq!(refusal(&request.clone().header("Origin", "https://evil.example")), "csrf_rejected");
    let other = registration().body(r#"{"email":"bob@example.com","password":"only for a test 123"}"#);
    let other = demo.served.send(&other).expect(201);
    let foreign = request.without("Authorization").bearer(&text(&other, "access_token"));
    assert_eq!(outcome(demo.served.send(&foreign)).1, "token_mismatch");
    assert_eq!(demo.generations(), [0]);
    assert_eq!(outcome(demo.replay(0)).2, json!(1), "nothing was used up");
}

#[test]
fn what_was_not_seen_is_not_found() {
    let mut demo = Demo::with(&[]);
    demo.replay(7).problem(404, "not_found");
    demo.session = "01a209dd-8004-72a2-969f-606740742fd5".into();
    demo.replay(0).problem(404, "not_found");
    for path in ["/demo/sessions/01a209dd-8004-72a2-969f-606740742fd5", "/demo/sessions/x", "/demo/"] {
        demo.served.send(&Request::get(path)).problem(404, "not_found");
    }
}

/// A page whose name has been bound to 127.0.0.1, or a proxy that lets others in.
#[test]
fn under_another_name_than_that_of_this_machine_there_is_no_demo() {
    let mut demo = Demo::with(&[SHORT_WINDOW]);
    let chain = Request::get(&format!("/demo/sessions/{}", demo.session));
    let replay = demo.replay_request(0);
    for host in
        ["evil.example", "evil.example:8080", "192.0.2.1", "[2001:db8::1]:80", "localhost.evil.example", ""]
    {
        for request in [&chain, &replay] {
            demo.served.send(&request.clone().header("Host", host)).problem(404, "not_found");
        }
    }
    assert_eq!(demo.generations(), [0]);
    for host in ["localhost:8080", "LOCALHOST", "127.0.0.1", "[::1]:8080", "[::1]"] {
        demo.served.send(&chain.clone().header("Host", host)).expect(200);
    }
}

#[test]
fn without_the_flag_nothing_is_kept_and_lives_are_long() {
    let mut served = Served::with(&[]);
    let tokens = served.send(&registration()).expect(201);
    assert_eq!(tokens.json()["expires_in"], 1800);
    let session = text(&tokens, "session_id");
    served.send(&Request::get(&format!("/demo/sessions/{session}"))).problem(404, "not_found");
    let replay = Request::new("POST", &format!("/demo/sessions/{session}/replay/0"));
    served.send(&replay.bearer(&text(&tokens, "access_token"))).problem(404, "not_found");
    assert!(served.send(&Request::get("/")).expect(200).body.contains("data-demo=\"off\""));
}

#[test]
fn with_the_flag_lives_are_short_unless_they_are_set() {
    for (variables, expires_in) in [(&[][..], 20), (&[("AUTHFLOW_ACCESS_TTL", "1m")], 60)] {
        let mut served = Served::with_options(&["--demo"], variables);
        assert_eq!(served.send(&registration()).expect(201).json()["expires_in"], expires_in);
        assert!(served.send(&Request::get("/")).expect(200).body.contains("data-demo=\"on\""));
        assert!(served.program.screen.contains("--demo"), "{}", served.program.screen);
    }
}
