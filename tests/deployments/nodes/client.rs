//! Somebody who refreshes, logs out and in, and changes passwords, and comes back where no answer came.

use std::collections::BTreeSet;
use std::time::Duration;

use actix_web::rt::time;
use reqwest::Method;
use serde_json::json;

use crate::past::Past;
use crate::support::{Answer, Browser, PASSWORD};

const PAUSE: Duration = Duration::from_millis(50);
const OTHER_PASSWORD: &str = "quite another horse by now";

pub(super) struct Client {
    pub(super) browser: Browser,
    email: String,
    passwords: [&'static str; 2],
    /// The refresh tokens of the session, in order.
    pub(super) tokens: Vec<String>,
    /// What this client was told has ended.
    pub(super) ended: Vec<Browser>,
    /// How many requests had no answer, or "later".
    pub(super) repeated: u32,
}

/// Whether something came back that says what became of the request.
fn is_answer(answer: &Answer) -> bool {
    ![502, 503, 504].contains(&answer.status)
}

impl Client {
    pub(super) async fn sign_up(base: &str, number: usize) -> Client {
        let mut browser = Browser::at_url(base);
        let (mut email, mut attempt) = (String::new(), 0);
        // Many sign up at once, and a busy machine asks some of them back: under another name, because who got no answer may
        // have the first one all the same.
        while email.is_empty() {
            let wanted = format!("user{number}.{attempt}@example.com");
            let answer = browser.register(&wanted).await;
            if is_answer(&answer) {
                answer.expect(201);
                email = wanted;
            } else {
                attempt += 1;
                time::sleep(PAUSE).await;
            }
        }
        let tokens = vec![browser.refresh_token.clone().unwrap()];
        Client {
            browser,
            email,
            passwords: [PASSWORD, OTHER_PASSWORD],
            tokens,
            ended: Vec::new(),
            repeated: 0,
        }
    }

    /// A refresh, and then what this round has for this client.
    pub(super) async fn round(&mut self, which: usize, past: &Past) {
        self.refresh(past).await;
        match which % 4 {
            0 => self.log_out_and_in().await,
            1 => self.change_password().await,
            _ => self.refresh(past).await,
        }
    }

    async fn refresh(&mut self, past: &Past) {
        past.move_by_a_window(self.browser.session()).await;
        loop {
            let answer = self.browser.refresh().await;
            if is_answer(&answer) {
                let token = answer.expect(200).refresh_token().unwrap();
                if self.tokens.last() != Some(&token) {
                    self.tokens.push(token);
                }
                return;
            }
            self.later().await;
        }
    }

    async fn log_out_and_in(&mut self) {
        let leaving = self.browser.clone();
        loop {
            let answer = leaving.clone().logout().await;
            if is_answer(&answer) {
                answer.expect(204);
                break;
            }
            self.later().await;
        }
        self.log_in(leaving).await;
    }

    /// Where no answer came, one of the two passwords is the right one.
    async fn change_password(&mut self) {
        let leaving = self.browser.clone();
        let change = json!({ "current_password": self.passwords[0], "new_password": self.passwords[1] });
        let request = leaving.bearer(leaving.request(Method::POST, "/auth/password")).json(&change);
        let answer = self.browser.send(request).await;
        if is_answer(&answer) {
            answer.expect(200);
            self.passwords.swap(0, 1);
            return self.has_a_new_session(leaving);
        }
        self.later().await;
        loop {
            let mut browser = leaving.without_refresh_token();
            let answer = browser.login_with(&self.email, self.passwords[1]).await;
            match answer.status {
                200 => {
                    self.passwords.swap(0, 1);
                    self.browser = browser;
                    return self.has_a_new_session(leaving);
                }
                401 => return,
                _ => self.later().await,
            }
        }
    }

    async fn log_in(&mut self, left: Browser) {
        loop {
            let mut browser = self.browser.without_refresh_token();
            let answer = browser.login_with(&self.email, self.passwords[0]).await;
            if is_answer(&answer) {
                answer.expect(200);
                self.browser = browser;
                return self.has_a_new_session(left);
            }
            self.later().await;
        }
    }

    fn has_a_new_session(&mut self, left: Browser) {
        self.ended.push(left);
        self.tokens = vec![self.browser.refresh_token.clone().unwrap()];
    }

    async fn later(&mut self) {
        self.repeated += 1;
        time::sleep(PAUSE).await;
    }

    /// Asserts that one token was given for each generation.
    pub(super) fn has_one_chain(&self, generations: &[i32]) {
        assert_eq!(self.tokens.iter().collect::<BTreeSet<_>>().len(), self.tokens.len());
        assert_eq!(generations, (0..).take(self.tokens.len()).collect::<Vec<_>>());
    }
}
