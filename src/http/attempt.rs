//! An attempt at a password, from the moment it is counted to the moment its end is known.

use actix_web::web;
use tokio::runtime::Handle;

use super::state::State;
use crate::domain::event::Actor;
use crate::service::attempts::{Fate, Reservation};
use crate::service::error::ServiceError;
use crate::service::{Outcome, Service};

/// An attempt that is counted. Whichever way it is left, also by a client that hangs up, what was no failure is taken back.
pub(super) struct Attempt {
    state: web::Data<State>,
    by: Actor,
    /// Taken when all is done.
    reservation: Option<Reservation>,
    fate: Fate,
}

impl Attempt {
    /// Runs the step of an operation that counts the attempt, and finds what the next one needs.
    pub(super) async fn begin<T: Send + 'static>(
        state: &web::Data<State>,
        by: Actor,
        step: impl FnOnce(&Service) -> Outcome<(T, Reservation)> + Send + 'static,
    ) -> Result<(T, Self), ServiceError> {
        let own = state.clone();
        // Made inside, where it is dropped if nobody waits for it any more.
        let counted =
            move |reservation| Self { state: own, by, reservation: Some(reservation), fate: Fate::Untried };
        let begin =
            move |service: &Service| step(service).map(|(found, reservation)| (found, counted(reservation)));
        state.run(by, begin).await
    }

    /// Runs the step that looks at the password, behind the gate. Until its turn comes nothing is tried.
    pub(super) async fn check<T: Send + 'static>(
        mut self,
        step: impl FnOnce(&Service) -> Outcome<T> + Send + 'static,
    ) -> Result<(T, Self), ServiceError> {
        let (state, by) = (self.state.clone(), self.by);
        let check = move |service: &Service| {
            // Should it panic: perhaps something was tried.
            self.fate = Fate::Failed;
            let checked = step(service);
            self.fate = Fate::of(&checked.result);
            let ceiling = self.reservation.as_ref().filter(|_| self.fate == Fate::Failed);
            let ceiling = ceiling.and_then(Reservation::ceiling_reached);
            checked.map(|checked| (checked, self)).telling(ceiling)
        };
        state.hash(by, check).await
    }

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

impl Drop for Attempt {
    /// In the background, because whoever drops this may be a worker that must not wait for the database.
    fn drop(&mut self) {
        let Some(reservation) = self.reservation.take().filter(|_| self.fate != Fate::Failed) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let (state, by, fate) = (self.state.clone(), self.by, self.fate);
        runtime.spawn(async move {
            let conclude = move |service: &Service| {
                service.conclude(&reservation, fate);
                Outcome::from(Ok::<_, ServiceError>(()))
            };
            // Where the database has no turn for it the attempt stays counted.
            let _ = state.run(by, conclude).await;
        });
    }
}
