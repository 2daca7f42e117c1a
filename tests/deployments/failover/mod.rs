//! A primary and a standby that follows it, with one URL for both: what is left of what was acknowledged when the standby
//! takes over.

mod crowd;
mod pair;

use std::time::Instant;

use self::crowd::Crowd;
use self::pair::{Pair, Replication};
use crate::support::{Browser, TestApp, eventually};

/// Two nodes that know both servers.
async fn nodes(pair: &Pair) -> [TestApp; 2] {
    let app = TestApp::at(&pair.url(), |config| config).await;
    let other = TestApp::at(&pair.url(), |config| config).await;
    [app, other]
}

/// What ends on one node is known on the other, which has heard it from the new primary.
async fn revocations_arrive(nodes: &[TestApp; 2], browser: &Browser) {
    for node in nodes {
        eventually("the node listens", async || node.auth.revocation_status().listening).await;
        eventually("the node is ready", async || node.auth.ready().await.is_ok()).await;
    }
    let elsewhere = browser.at(&nodes[1]);
    elsewhere.call_api().await.expect(200);
    browser.at(&nodes[0]).logout().await.expect(204);
    eventually("the other node knows", async || elsewhere.call_api().await.status == 401).await;
    elsewhere.call_api().await.refused(401, "session_revoked");
}

/// Under load the primary is killed, after this has happened to it, and the standby promoted.
async fn nothing_acknowledged_is_lost(replication: Replication, before: fn(&mut Pair)) {
    let mut pair = Pair::start(replication).await;
    let crowd = Crowd::of(32, nodes(&pair).await, &pair.url()).await;
    crowd.goes_on_by(3).await;

    pair = pair.work(before).await;
    let killed = Instant::now();
    pair = pair.work(Pair::kill_primary).await;
    pair = pair.work(Pair::promote).await;
    crowd.goes_on_by(1).await;
    let back = killed.elapsed();
    crowd.goes_on_by(3).await;

    let (nodes, clients) = crowd.disperse().await;
    for client in &clients {
        client.is_unharmed(&nodes[0]).await;
    }
    assert_eq!(nodes[0].db_live_sessions().len(), clients.len());
    revocations_arrive(&nodes, &clients[0].browser).await;
    println!("{replication:?}: all 32 clients have refreshed again after {:.1} s", back.as_secs_f32());
    drop(pair);
}

#[actix_web::test]
async fn no_acknowledged_rotation_is_lost_when_the_standby_takes_over() {
    nothing_acknowledged_is_lost(Replication::Synchronous("on"), |_| {}).await;
}

/// The standby has not received what the primary had written last. So nobody was told of it either.
#[actix_web::test]
async fn no_acknowledged_rotation_is_lost_when_the_standby_was_cut_off_before() {
    let before = |pair: &mut Pair| {
        pair.cut_off_standby();
        pair.await_commits_that_wait();
    };
    nothing_acknowledged_is_lost(Replication::Synchronous("remote_apply"), before).await;
}

/// A planned failover: the primary takes no more writes but lives on, with every connection to it.
#[actix_web::test]
async fn connections_to_a_primary_of_yesterday_that_is_still_alive_are_given_up() {
    let mut pair = Pair::start(Replication::Synchronous("on")).await;
    let crowd = Crowd::of(32, nodes(&pair).await, &pair.url()).await;
    crowd.goes_on_by(2).await;
    assert!(pair.clients_of_first() > 0);

    pair = pair.work(Pair::make_first_read_only).await;
    pair = pair.work(Pair::promote).await;
    crowd.goes_on_by(2).await;
    eventually("nobody asks the old primary any more", async || pair.clients_of_first() == 0).await;

    let (nodes, clients) = crowd.disperse().await;
    for client in &clients {
        client.is_unharmed(&nodes[0]).await;
    }
    revocations_arrive(&nodes, &clients[0].browser).await;
}

/// The old primary comes back as a standby of the new one, and its name stands first in the URL.
#[actix_web::test]
async fn a_primary_that_comes_back_as_a_standby_is_not_written_to() {
    let mut pair = Pair::start(Replication::Synchronous("on")).await;
    let nodes = nodes(&pair).await;
    let mut browser = Browser::signed_up(&nodes[0], "alice@example.com").await;

    pair = pair.work(Pair::stop_primary).await;
    pair = pair.work(Pair::promote).await;
    pair = pair.work(Pair::return_as_standby).await;

    for (generation, node) in (1..=4).zip(nodes.iter().cycle()) {
        browser = browser.at(node);
        eventually("the service is back", async || browser.refresh().await.status == 200).await;
        assert_eq!(node.db_generations(&browser.session()).last(), Some(&generation));
        node.db_age_session(&browser.session(), 31);
    }
    revocations_arrive(&nodes, &browser).await;
    drop(pair);
}

/// With asynchronous replication a failover loses what the standby had not received. Whoever has a token of it is told that
/// the session has ended, and no older copy lives on.
#[actix_web::test]
async fn what_an_asynchronous_standby_never_received_ends_its_session() {
    let mut pair = Pair::start(Replication::Asynchronous).await;
    let nodes = nodes(&pair).await;
    let mut ahead = Browser::signed_up(&nodes[0], "alice@example.com").await;
    let mut quiet = Browser::signed_up(&nodes[0], "bob@example.com").await;
    let mut left = Browser::signed_up(&nodes[0], "carol@example.com").await;
    let behind = ahead.clone();
    pair = pair.work(Pair::await_standby).await;
    pair = pair.work(Pair::cut_off_standby).await;
    ahead.refresh().await.expect(200);
    let returning = left.clone();
    left.logout().await.expect(204);

    pair = pair.work(Pair::kill_primary).await;
    pair = pair.work(Pair::promote).await;

    eventually("the service is back", async || quiet.refresh().await.status == 200).await;
    let told = ahead.refresh().await.refused(401, "session_revoked");
    assert_eq!(told.json["reason"], "database_restored");
    assert_eq!(nodes[0].db_session_reason(&ahead.session()).as_deref(), Some("database_restored"));
    behind.clone().refresh().await.refused(401, "session_revoked");
    // Nothing gives the lost logout away: the manual says to end all sessions after such a failover.
    let returning = returning.at(&nodes[1]);
    returning.clone().refresh().await.expect(200);
    assert_eq!(nodes[0].db_generations(&quiet.session()), [0, 1]);
    drop(pair);
}
