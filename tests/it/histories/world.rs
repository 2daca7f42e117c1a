//! The server, its clients, and the reference beside them.

use std::time::Duration;

use actix_authflow::{AuthConfig, UserId};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::json;

use super::modelled::{self, Modelled};
use super::reference::{Expected, Session, WINDOW};
use super::{Holder, Loss, Step};
use crate::support::wire::{self, Moment, Proxy};
use crate::support::{Answer, Browser, TestApp, together};

type Result = std::result::Result<(), TestCaseError>;

/// Two nodes on one database, the second of them over a wire.
pub(super) struct World {
    direct: Option<TestApp>,
    wired: TestApp,
    wire: Proxy,
    users: u32,
}

/// One history: a user, the sessions, and who holds what of them.
struct Life<'a> {
    world: &'a mut World,
    user: UserId,
    sessions: Vec<Followed>,
    clients: [Client; 3],
}

/// A session as the reference and the model have it, and the tokens that the server has given for it.
struct Followed {
    id: String,
    expected: Session,
    modelled: Modelled,
    tokens: Vec<String>,
}

#[derive(Clone)]
struct Client {
    browser: Browser,
    session: usize,
    generation: usize,
}

fn config(config: AuthConfig) -> AuthConfig {
    config.refresh_grace(Duration::from_secs(WINDOW.unsigned_abs())).prune_interval(Duration::ZERO)
}

impl World {
    pub(super) async fn start() -> World {
        let direct = TestApp::with(config).await;
        let wire = Proxy::to(direct.database_url());
        let wired = direct.node_at(wire.url(), config).await;
        World { direct: Some(direct), wired, wire, users: 0 }
    }

    /// Lives through a history with a new user.
    pub(super) async fn live(&mut self, history: &[Step]) -> Result {
        self.users += 1;
        let name = format!("customer-{}", self.users);
        let user = self.direct().auth.ensure_user(&name).await.unwrap().id;
        let client = Client { browser: Browser::new(self.direct()), session: 0, generation: 0 };
        let clients = [client.clone(), client.clone(), client];
        let mut life = Life { world: self, user, sessions: Vec::new(), clients };
        life.login(Holder::Owner).await?;
        life.clients = [0, 0, 0].map(|owner| life.clients[owner].clone());
        for step in history {
            life.take(step).await?;
            life.compare_rows()?;
        }
        Ok(())
    }

    fn direct(&self) -> &TestApp {
        self.direct.as_ref().unwrap()
    }
}

impl Life<'_> {
    async fn take(&mut self, step: &Step) -> Result {
        match *step {
            Step::Refresh(holder, loss) => return self.refresh(holder, loss).await,
            Step::RefreshTwice(holder) => return self.refresh_twice(holder).await,
            Step::Login(holder) => return self.login(holder).await,
            Step::Logout(holder) => return self.logout(holder).await,
            Step::Copy(from, to) => self.clients[to as usize] = self.clients[from as usize].clone(),
            Step::RevokeAll => {
                self.world.direct().auth.revoke_sessions(self.user).await.unwrap();
                for session in &mut self.sessions {
                    session.expected.end_if_live("revoked_by_host");
                    session.modelled.end_if_live();
                }
            }
            Step::Pass(seconds) => {
                for session in self.sessions.iter_mut().filter(|session| !session.expected.is_purged()) {
                    self.world.direct().db_age_session(&session.id, seconds);
                    session.expected.pass(seconds);
                    session.modelled.pass(seconds);
                }
            }
            Step::Prune => {
                self.world.direct().auth.prune().await.unwrap();
                for session in &mut self.sessions {
                    session.expected.prune();
                    session.modelled.prune();
                }
            }
            Step::Restart => {
                let node = self.world.direct.take().unwrap().restart().await;
                self.world.direct = Some(node);
            }
        }
        Ok(())
    }

    async fn login(&mut self, holder: Holder) -> Result {
        let mut browser = Browser::new(self.world.direct());
        let path = format!("/host/login/{}/cookie", self.user);
        let answer = browser.post(&path, &json!({})).await;
        prop_assert_eq!(answer.status, 200, "{:?}", answer);
        let tokens = answer.refresh_token().into_iter().collect();
        let (expected, modelled) = (Session::started(), Modelled::started());
        self.sessions.push(Followed { id: browser.session(), expected, modelled, tokens });
        let session = self.sessions.len() - 1;
        self.clients[holder as usize] = Client { browser, session, generation: 0 };
        Ok(())
    }

    async fn logout(&mut self, holder: Holder) -> Result {
        let client = &self.clients[holder as usize];
        let answer = client.browser.at(self.world.direct()).logout().await;
        prop_assert_eq!(answer.status, 204, "{:?}", answer);
        let session = &mut self.sessions[client.session];
        session.expected.end("logged_out");
        session.modelled.end();
        self.is_dead_at(self.world.direct(), holder).await
    }

    async fn refresh(&mut self, holder: Holder, loss: Loss) -> Result {
        let Client { browser, session, generation } = self.clients[holder as usize].clone();
        let node = match loss {
            Loss::Nothing | Loss::Answer => self.world.direct(),
            Loss::Before | Loss::After => &self.world.wired,
        };
        let moment = if loss == Loss::Before { Moment::CutBefore } else { Moment::CutAfter };
        let is_cut = matches!(loss, Loss::Before | Loss::After);
        let trap = is_cut.then(|| self.world.wire.trap(wire::is_rotation, moment));
        let mut browser = browser.at(node);
        let answer = browser.refresh().await;

        prop_assert!(trap.is_none_or(|trap| trap.has_been_reached()));
        let followed = &mut self.sessions[session];
        let expected = followed.expected.refresh(generation);
        followed.agrees(&answer, expected)?;
        followed.model_agrees(holder, generation, loss, expected)?;
        if let (Expected::Token(generation), false) = (expected, loss == Loss::Answer) {
            self.clients[holder as usize] = Client { browser, session, generation };
        }
        if expected == Expected::Refused("refresh_token_reused") {
            let node = if is_cut { &self.world.wired } else { self.world.direct() };
            self.is_dead_at(node, holder).await?;
        }
        Ok(())
    }

    /// In whichever order the two come, one of them is the first.
    async fn refresh_twice(&mut self, holder: Holder) -> Result {
        let Client { browser, session, generation } = self.clients[holder as usize].clone();
        let nodes = [self.world.direct(), &self.world.wired];
        let answers = together(nodes.map(|node| {
            let mut browser = browser.at(node);
            async move {
                let answer = browser.refresh().await;
                (browser, answer)
            }
        }))
        .await;

        let followed = &mut self.sessions[session];
        let first = followed.expected.refresh(generation);
        let reused = Expected::Refused("refresh_token_reused");
        let revoked = Expected::Refused("session_revoked");
        for (_, answer) in &answers {
            // Both may have seen the reuse before either ended the session.
            let late = first == reused && answer.code() == "session_revoked";
            followed.agrees(answer, if late { revoked } else { first })?;
        }
        for expected in [first, if first == reused { revoked } else { first }] {
            followed.model_agrees(holder, generation, Loss::Nothing, expected)?;
        }
        let alone = answers.iter().any(|(_, answer)| answer.code() == "refresh_token_reused");
        prop_assert_eq!(alone, first == reused);
        if let (Expected::Token(generation), Some((browser, _))) = (first, answers.into_iter().next()) {
            self.clients[holder as usize] = Client { browser, session, generation };
        }
        Ok(())
    }

    /// The JWT dies on the node where the session ended, at once.
    async fn is_dead_at(&self, node: &TestApp, holder: Holder) -> Result {
        let answer = self.clients[holder as usize].browser.at(node).call_api().await;
        prop_assert_eq!(answer.code(), "session_revoked");
        Ok(())
    }

    fn compare_rows(&self) -> Result {
        for Followed { id, expected, modelled, .. } in &self.sessions {
            prop_assert_eq!(modelled.broken(), None);
            if !expected.is_purged() {
                prop_assert_eq!(modelled.rows(), expected.rows());
                prop_assert_eq!(modelled.has_ended(), expected.reason().is_some());
            }
            let app = self.world.direct();
            let rows = app.db_texts(&format!(
                "SELECT concat_ws(' ', generation, round(extract(epoch FROM clock_timestamp() - issued_at) / 100),
                        round(extract(epoch FROM expires_at - clock_timestamp()) / 100)) AS value
                 FROM authflow.refresh_tokens WHERE session_id = '{id}' ORDER BY generation"
            ));
            let rows: Vec<String> = rows.into_iter().flatten().collect();
            prop_assert_eq!(rows, expected.rows());
            let known =
                app.db_texts(&format!("SELECT id::text AS value FROM authflow.sessions WHERE id = '{id}'"));
            prop_assert_eq!(known.is_empty(), expected.is_purged());
            if !known.is_empty() {
                let reason = app.db_session_reason(id);
                prop_assert_eq!(reason.as_deref(), expected.reason());
            }
        }
        Ok(())
    }
}

impl Followed {
    fn model_agrees(&mut self, holder: Holder, generation: usize, loss: Loss, expected: Expected) -> Result {
        // A session that was purged is not in the model.
        if !self.expected.is_purged() {
            let answer = self.modelled.refresh(holder, generation, loss);
            prop_assert!(modelled::is_as(answer, expected), "model: {:?}, reference: {:?}", answer, expected);
        }
        Ok(())
    }

    /// A generation is one token, whoever is given it and however often; and another one than all before.
    fn agrees(&mut self, answer: &Answer, expected: Expected) -> Result {
        match expected {
            Expected::Refused(code) => {
                prop_assert_eq!((answer.status, answer.code()), (401, code), "{:?}", answer);
                prop_assert!(answer.refresh_token().is_none() && answer.access_token().is_none());
            }
            Expected::Token(generation) => {
                prop_assert_eq!(answer.status, 200, "{:?}", answer);
                let token = answer.refresh_token().unwrap_or_default();
                if generation == self.tokens.len() && !self.tokens.contains(&token) {
                    self.tokens.push(token.clone());
                }
                prop_assert_eq!(Some(&token), self.tokens.get(generation));
                prop_assert!(answer.access_token().is_some());
            }
        }
        Ok(())
    }
}
