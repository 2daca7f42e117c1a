//! Several nodes behind one address: each request is another node's than the last, and nodes come and go.

mod balancer;
mod client;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use actix_authflow::testing::TestDatabase;
use actix_web::rt::spawn;
use actix_web::rt::task::{JoinHandle, spawn_blocking};
use diesel::sql_types::Integer;
use diesel::{QueryableByName, RunQueryDsl as _};
use tempfile::TempDir;

use self::balancer::Balancer;
use self::client::Client;
use crate::past::Past;
use crate::process::{Program, SECRET, directory};
use crate::support::eventually;

const CLIENTS: usize = 32;

/// A process of its own, in a folder of its own.
struct Node {
    program: Program,
    url: String,
    folder: TempDir,
}

impl Node {
    fn start(database: &str, bind: &str, folder: TempDir) -> Node {
        let variables =
            [("DATABASE_URL", database), SECRET, ("AUTHFLOW_BIND", bind), ("AUTHFLOW_DATABASE_POOL", "4")];
        let program = Program::serve(folder.path(), &variables);
        Node { program, url: database.to_owned(), folder }
    }

    fn base(&self) -> String {
        format!("http://{}", self.program.address)
    }

    /// Ends by this signal and starts anew at the same address, while the clients of this thread go on.
    async fn ends_by(self, signal: &'static str) -> Node {
        let restart = move || {
            let Node { mut program, url, folder } = self;
            program.signal(signal);
            let status = program.wait();
            assert_eq!(status.success(), signal == "TERM", "{}", program.log());
            Node::start(&url, &program.address.to_string(), folder)
        };
        spawn_blocking(restart).await.unwrap()
    }
}

/// The clients, each at its own pace.
struct Crowd {
    clients: Vec<JoinHandle<Client>>,
    rounds: Rc<RefCell<Vec<usize>>>,
    over: Rc<Cell<bool>>,
}

impl Crowd {
    async fn at(base: &str, past: &Past) -> Crowd {
        let (rounds, over) = (Rc::new(RefCell::new(vec![0; CLIENTS])), Rc::new(Cell::new(false)));
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let mut client = Client::sign_up(base, number).await;
            let (past, rounds, over) = (past.clone(), Rc::clone(&rounds), Rc::clone(&over));
            clients.push(spawn(async move {
                while !over.get() {
                    let done = rounds.borrow()[number];
                    client.round(number + done, &past).await;
                    rounds.borrow_mut()[number] += 1;
                }
                client
            }));
        }
        Crowd { clients, rounds, over }
    }

    /// Waits until every client has done one more round.
    async fn goes_on(&self) {
        let before = self.rounds.borrow().clone();
        eventually("every client goes on", async || {
            let done = self.rounds.borrow().iter().zip(&before).all(|(now, before)| now > before);
            // A client that panicked never will.
            done || self.clients.iter().any(JoinHandle::is_finished)
        })
        .await;
    }

    async fn disperse(self) -> Vec<Client> {
        self.over.set(true);
        let mut clients = Vec::new();
        for client in self.clients {
            clients.push(client.await.unwrap());
        }
        clients
    }
}

#[derive(QueryableByName)]
struct Generation {
    #[diesel(sql_type = Integer)]
    generation: i32,
}

fn generations(database: &TestDatabase, session: &str) -> Vec<i32> {
    let sql =
        format!("SELECT generation FROM authflow.refresh_tokens WHERE session_id = '{session}' ORDER BY 1");
    let rows = diesel::sql_query(sql).load::<Generation>(&mut database.connect()).unwrap();
    rows.into_iter().map(|row| row.generation).collect()
}

/// What is answered holds on every node, whichever of them are drained or killed meanwhile.
async fn behind_one_address(count: usize) {
    let database = TestDatabase::new();
    let start = |_| Node::start(database.url(), "127.0.0.1:0", directory());
    let mut nodes: Vec<Node> = (0..count).map(start).collect();
    let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.program.address).collect();
    let Some(balancer) = Balancer::before(&addresses) else { return };
    let crowd = Crowd::at(&balancer.url(), &Past::of(database.url())).await;
    crowd.goes_on().await;
    for signal in ["TERM", "KILL"] {
        let node = nodes.remove(0).ends_by(signal).await;
        nodes.push(node);
        crowd.goes_on().await;
    }
    let clients = crowd.disperse().await;

    let mut ended = 0;
    for client in &clients {
        client.has_one_chain(&generations(&database, &client.browser.session()));
        for node in &nodes {
            let browser = client.browser.moved_to(&node.base());
            browser.call_api().await.expect(200);
            browser.clone().refresh().await.expect(200);
            for left in &client.ended {
                let left = left.moved_to(&node.base());
                eventually("every node knows", async || left.call_api().await.status == 401).await;
                left.clone().refresh().await.refused(401, "session_revoked");
                ended += 1;
            }
        }
    }
    assert!(ended >= CLIENTS / 2 * count, "{ended} ended sessions are few");
    let repeated: u32 = clients.iter().map(|client| client.repeated).sum();
    println!("{count} nodes: {repeated} requests had to be sent again");
}

#[actix_web::test]
async fn two_nodes_behind_one_address_are_one_service() {
    behind_one_address(2).await;
}

#[actix_web::test]
async fn four_nodes_behind_one_address_are_one_service() {
    behind_one_address(4).await;
}
