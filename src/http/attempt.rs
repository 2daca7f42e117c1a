//! An attempt at a password, from the moment it is counted to the moment its end is known.

use actix_web::web;
use tokio::runtime::Handle;
use tracing::Instrument as _;

use super::gate::Place;
use super::state::State;
use crate::domain::event::Actor;
use crate::service::attempts::{Fate, Reservation};
use crate::service::error::ServiceError;
use crate::service::{Outcome, Service};

/// An attempt that is counted, and waits in the queue for hashing.
pub(super) struct Attempt {
    place: Place,
    counted: Counted,
}

/// What is counted of an attempt. Whichever way it is left, also by a client that hangs up, what was no failure is taken back.
pub(super) struct Counted {
    state: web::Data<State>,
    by: Actor,
    /// Taken when all is done.
    reservation: Option<Reservation>,
    fate: Fate,
}

impl Attempt {
    /// Runs the step of an operation that counts the attempt, and finds what the next one needs. Where the queue for hashing
    /// is full nothing is begun: the database is not asked for anybody.
    pub(super) async fn begin<T: Send + 'static>(
        state: &web::Data<State>,
        by: Actor,
        step: impl FnOnce(&Service) -> Outcome<(T, Reservation)> + Send + 'static,
    ) -> Result<(T, Self), ServiceError> {
        let (own, place) = (state.clone(), state.queue_for_hashing()?);
        // Made inside, where it is dropped if nobody waits for it any more.
        let attempt = move |reservation| {
            let (reservation, fate) = (Some(reservation), Fate::Untried);
            Self { place, counted: Counted { state: own, by, reservation, fate } }
        };
        let begin =
            move |service: &Service| step(service).map(|(found, reservation)| (found, attempt(reservation)));
        state.begin(by, begin).await
    }

    /// Runs the step that looks at the password, behind the gate. Until its turn comes nothing is tried.
    pub(super) async fn check<T: Send + 'static>(
        self,
        step: impl FnOnce(&Service) -> Outcome<T> + Send + 'static,
    ) -> Result<(T, Counted), ServiceError> {
        let Self { place, mut counted } = self;
        let (state, by) = (counted.state.clone(), counted.by);
        let check = move |service: &Service| {
            // Should it panic: perhaps something was tried.
            counted.fate = Fate::Failed;
            let checked = step(service);
            counted.fate = Fate::of(&checked.result);
            let ceiling = counted.reservation.as_ref().filter(|_| counted.fate == Fate::Failed);
            let ceiling = ceiling.and_then(Reservation::ceiling_reached);
            checked.map(|checked| (checked, counted)).telling(ceiling)
        };
        state.hash_from(place, by, check).await
    }
}

impl Counted {
    /// Takes back what a right password takes back, and runs the step that follows, in the same crossing.
    pub(super) async fn succeed<T: Send + 'static>(
        mut self,
        step: impl FnOnce(&Service) -> Outcome<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (state, by) = (self.state.clone(), self.by);
        let succeed = move |service: &Service| {
            if let Some(reservation) = self.reservation.take() {
                service.conclude(&reservation, self.fate);
            }
            step(service)
        };
        state.run(by, succeed).await
    }
}

impl Drop for Counted {
    /// In the background, because whoever drops this may be a worker that must not wait for the database.
    fn drop(&mut self) {
        let Some(reservation) = self.reservation.take().filter(|_| self.fate != Fate::Failed) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let (state, by, fate) = (self.state.clone(), self.by, self.fate);
        let conclusion = async move {
            let conclude = move |service: &Service| {
                service.conclude(&reservation, fate);
                Outcome::from(Ok::<_, ServiceError>(()))
            };
            // Where the database has no turn for it the attempt stays counted.
            let _ = state.run(by, conclude).await;
        };
        runtime.spawn(conclusion.in_current_span());
    }
}
