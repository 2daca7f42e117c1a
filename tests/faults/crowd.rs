//! Clients who refresh at the same time, through a fault; and whether each still has what it was given.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Manner, Story, Transport, is_to_come_back};
use crate::database::Rows;
use crate::message::Answer;
use crate::service::Service;
use crate::tally::Tally;

/// Requests with one token at the same time.
const TABS: usize = 2;
/// Seconds that a window of 30 s is certainly over after.
const BEYOND: u32 = 31;

/// Sessions, each with two tabs that share its tokens.
pub(crate) struct Crowd {
    clients: Vec<Client>,
    /// What the first of them held before.
    before: Vec<Client>,
    pub(crate) rows: Rows,
    generation: i64,
    beyond: u32,
    pub(crate) tally: Tally,
}

/// What one round was like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Felt {
    /// Requests that were not answered, or with 503.
    pub(crate) troubles: u32,
    /// Rotations that were committed by a request of which no answer arrived.
    pub(crate) unheard: u32,
    /// When the last of the clients had an answer.
    pub(crate) ended: Option<Instant>,
}

impl Crowd {
    /// So many new users of the service, with cookies and without in turn.
    pub(crate) fn of(sessions: usize, service: &Service, database: &str) -> Crowd {
        let transports = [Transport::Cookie, Transport::Body];
        let clients = transports.iter().cycle().take(sessions).enumerate();
        let clients: Vec<Client> = clients
            .map(|(number, transport)| {
                Client::signed_up(service.address(), &format!("client{number}"), *transport)
            })
            .collect();
        let (before, rows) = (clients.clone(), Rows::at(database));
        Crowd { clients, before, rows, generation: 0, beyond: BEYOND, tally: Tally::default() }
    }

    /// With a window that is over after so many seconds.
    pub(crate) fn beyond(mut self, seconds: u32) -> Crowd {
        self.beyond = seconds;
        self
    }

    /// One round: every token may be rotated again, every tab refreshes, and the fault strikes meanwhile.
    pub(crate) fn round(
        &mut self,
        address: impl Fn() -> SocketAddr + Sync,
        manner: Manner,
        strike: impl FnOnce(),
    ) -> Felt {
        self.age();
        let stories = self.refresh(&address, manner, strike);
        self.judge(&stories)
    }

    /// Lets all tokens be older than the window.
    pub(crate) fn age(&mut self) {
        self.rows.age(self.beyond);
    }

    /// Lets every tab of every session refresh, and the fault strike meanwhile.
    pub(crate) fn refresh(
        &self,
        address: &(impl Fn() -> SocketAddr + Sync),
        manner: Manner,
        strike: impl FnOnce(),
    ) -> Vec<Vec<Story>> {
        let start = &Barrier::new(self.clients.len() * TABS + 1);
        thread::scope(|scope| {
            let tab = |client| {
                scope.spawn(move || {
                    start.wait();
                    Client::refresh(client, address, manner)
                })
            };
            let tabs: Vec<Vec<_>> =
                self.clients.iter().map(|client| (0..TABS).map(|_| tab(client)).collect()).collect();
            start.wait();
            strike();
            let finish = |tabs: Vec<thread::ScopedJoinHandle<'_, Story>>| {
                tabs.into_iter().map(|tab| tab.join().unwrap()).collect()
            };
            tabs.into_iter().map(finish).collect()
        })
    }

    /// Compares what the tabs of each session heard, over the whole of a round, with each other and with the rows.
    pub(crate) fn judge(&mut self, stories: &[Vec<Story>]) -> Felt {
        let mut felt = Felt::default();
        for (index, stories) in stories.iter().enumerate() {
            felt.troubles += stories.iter().map(|story| story.unanswered + story.unavailable).sum::<u32>();
            felt.ended = felt.ended.max(stories.iter().filter_map(|story| story.ended).max());
            felt.unheard += u32::from(self.judge_session(index, stories));
        }
        self.generation += 1;
        self.tally.unheard += felt.unheard;
        felt
    }

    /// Says whether the rotation was committed by a request that was never answered.
    fn judge_session(&mut self, index: usize, stories: &[Story]) -> bool {
        let session = self.clients[index].session.clone();
        let answers = stories.iter().flat_map(|story| story.wronged.iter().chain(&story.late));
        for answer in answers.filter(|answer| answer.status != 200 && !is_to_come_back(answer)) {
            println!("wronged: {session} {answer:?}");
            self.tally.wronged += 1;
        }
        for story in stories.iter().filter(|story| story.starved) {
            println!("starved: {session} {story:?}");
            self.tally.wronged += 1;
        }
        let granted: Vec<_> = stories.iter().filter_map(|story| story.granted.as_ref()).collect();
        let chain = self.rows.chain(&session);
        let Some((client, _)) = granted.first() else {
            println!("lost: {session} heard of no successor; {chain:?}");
            self.tally.lost += 1;
            return false;
        };
        if granted.iter().any(|(other, _)| !client.holds_the_same_as(other)) {
            println!("two successors: {granted:?}");
            self.tally.doubles += 1;
        }
        for answer in stories.iter().flat_map(|story| &story.late) {
            if answer.status == 200 && !client.holds_what_came_in(answer) {
                println!("a late answer with another successor: {answer:?}");
                self.tally.doubles += 1;
            }
        }
        if !chain.is_whole_up_to(self.generation + 1) {
            println!("lost: {session} should be at {}; {chain:?}", self.generation + 1);
            self.tally.lost += 1;
        }
        let unheard = granted.iter().all(|(_, sent)| chain.issued_at() < *sent);
        self.before[index] = std::mem::replace(&mut self.clients[index], client.clone());
        unheard
    }

    /// Asserts that of these requests none consumed anything; those that were answered may have.
    pub(crate) fn consumed_nothing(&mut self, stories: &[Vec<Story>]) {
        for (client, stories) in self.clients.iter().zip(stories) {
            let chain = self.rows.chain(&client.session);
            let rotated = i64::from(stories.iter().any(|story| story.granted.is_some()));
            if !chain.is_whole_up_to(self.generation + rotated) {
                println!("consumed without an answer: {chain:?} at {} {stories:?}", self.generation);
                self.tally.lost += 1;
            }
        }
    }

    /// Counts answers that carry another token than the first client holds.
    pub(crate) fn compare(&mut self, answers: &[Answer]) {
        for answer in answers.iter().filter(|answer| answer.status == 200) {
            if !self.clients[0].holds_what_came_in(answer) {
                println!("another successor: {answer:?}");
                self.tally.doubles += 1;
            }
        }
    }

    /// Counts those whose access token is not good.
    pub(crate) fn are_let_in(&mut self, address: SocketAddr) {
        let shut_out = self.clients.iter().filter(|client| !client.is_let_in(address)).count();
        self.tally.wronged += u32::try_from(shut_out).unwrap();
    }

    /// Asserts that the rule is as strict as ever: a token that was replaced a window ago ends its session.
    pub(crate) fn retired_tokens_end_their_sessions(&mut self, address: SocketAddr) {
        self.rows.age(self.beyond);
        for (before, client) in self.before.iter().zip(&self.clients) {
            for presented in [before, client] {
                let story = presented.refresh(|| address, Manner::default());
                let answer = story.wronged.expect("a refusal");
                let for_reuse = ["refresh_token_reused", r#""reason":"reuse""#];
                let refused = for_reuse.iter().any(|text| answer.body.contains(text));
                assert!(answer.status == 401 && refused, "{answer:?}");
            }
            assert!(!self.rows.chain(&client.session).live);
        }
    }
}

/// A moment within so many milliseconds, another in every round, spread evenly.
pub(crate) fn moment(round: u32, milliseconds: u32) -> Duration {
    // The golden ratio, of which no two multiples are close.
    let share = (f64::from(round) * 0.618_033_988_75).fract();
    Duration::from_secs_f64(share * f64::from(milliseconds) / 1000.0)
}
