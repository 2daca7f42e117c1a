//! Clients that refresh without end, and remember every token that they were given.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use actix_web::rt::{spawn, time};

use crate::past::Past;
use crate::support::{Browser, TestApp, eventually, together};

/// Some at two nodes, each request at the other one than the last.
pub(super) struct Crowd {
    nodes: Rc<[TestApp; 2]>,
    clients: Vec<JoinHandle<Client>>,
    /// How many generations each has been given.
    given: Rc<RefCell<Vec<usize>>>,
    over: Rc<Cell<bool>>,
}

/// One of them, and the tokens that it was given, in order.
pub(super) struct Client {
    pub(super) browser: Browser,
    tokens: Vec<String>,
}

impl Crowd {
    pub(super) async fn of(size: usize, nodes: [TestApp; 2], url: &str) -> Crowd {
        let (nodes, past) = (Rc::new(nodes), Past::of(url));
        let crowd = Crowd {
            nodes: Rc::clone(&nodes),
            clients: Vec::new(),
            given: Rc::new(RefCell::new(vec![0; size])),
            over: Rc::default(),
        };
        let user = Browser::signed_up(&nodes[0], "alice@example.com").await;
        let path = format!("/host/login/{}/cookie", user.user());
        user.clone().logout().await.expect(204);
        let sessions = (0..size).map(|_| {
            let (mut browser, path) = (Browser::new(&nodes[0]), path.clone());
            async move {
                browser.post(&path, &serde_json::json!({})).await.expect(200);
                browser
            }
        });
        let browsers = together(sessions).await;
        let clients = browsers.into_iter().enumerate().map(|(number, browser)| {
            let (nodes, past) = (Rc::clone(&nodes), past.clone());
            let (given, over) = (Rc::clone(&crowd.given), Rc::clone(&crowd.over));
            spawn(async move {
                let mut client = Client { tokens: vec![browser.refresh_token.clone().unwrap()], browser };
                let mut turns = nodes.iter().cycle().skip(number % 2);
                while !over.get() {
                    client.next_generation(turns.by_ref(), &past).await;
                    given.borrow_mut()[number] = client.tokens.len();
                }
                client
            })
        });
        let clients = clients.collect();
        Crowd { clients, ..crowd }
    }

    /// Waits until every client has so many more generations.
    pub(super) async fn goes_on_by(&self, more: usize) {
        let before = self.given.borrow().clone();
        eventually("every client goes on", async || {
            let given = self.given.borrow();
            let done = given.iter().zip(&before).all(|(now, before)| *now >= before + more);
            // A client that panicked never will.
            done || self.clients.iter().any(JoinHandle::is_finished)
        })
        .await;
    }

    /// Has everybody finish the refresh that is under way.
    pub(super) async fn disperse(self) -> (Rc<[TestApp; 2]>, Vec<Client>) {
        self.over.set(true);
        let mut clients = Vec::new();
        for client in self.clients {
            clients.push(client.await.unwrap());
        }
        (self.nodes, clients)
    }
}

impl Client {
    /// Comes back with the same tokens until there is a new one. Nothing but success and "later" is put up with.
    async fn next_generation<'a>(&mut self, mut nodes: impl Iterator<Item = &'a TestApp>, past: &Past) {
        let mut answered = true;
        loop {
            if answered {
                // Only now: what may have been rotated without an answer has to stay within the window.
                past.move_by_a_window(self.browser.session()).await;
            }
            self.browser = self.browser.at(nodes.next().unwrap());
            let answer = self.browser.refresh().await;
            answered = answer.status == 200;
            if !answered {
                answer.refused(503, "storage_unavailable");
                time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            let token = answer.refresh_token().unwrap();
            if self.tokens.last() != Some(&token) {
                return self.tokens.push(token);
            }
        }
    }

    /// Asserts that the chain is what this client was given, one token for each generation, and that it goes on.
    pub(super) async fn is_unharmed(&self, node: &TestApp) {
        let session = self.browser.session();
        assert_eq!(self.tokens.iter().collect::<BTreeSet<_>>().len(), self.tokens.len());
        let generations = node.db_generations(&session);
        assert_eq!(generations, (0..).take(self.tokens.len()).collect::<Vec<_>>(), "{session}");
        let mut browser = self.browser.at(node);
        browser.call_api().await.expect(200);
        browser.refresh().await.expect(200);
        assert_eq!(browser.refresh_token.as_ref(), self.tokens.last());
    }
}
