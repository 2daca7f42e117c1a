//! What the routes share.

use std::sync::Arc;
use std::time::Instant;

use actix_web::{HttpMessage as _, HttpRequest};
use zeroize::Zeroizing;

use super::client::{ClientAddress, TrustedProxies, clean_user_agent};
use super::cookie::{Cookies, StrippedCookie};
use super::csrf::{Evidence, OriginPolicy, requested_host};
use super::error::{AuthError, ErrorCode};
use super::gate::{Gate, NotDone, Place};
use super::jobs::{DATABASE_DEADLINE, Jobs};
use crate::domain::device::PresentedDevice;
use crate::domain::event::{Actor, EventKind, Fact};
use crate::domain::refresh_token::RefreshToken;
use crate::domain::session::{Device, RevocationReason};
use crate::domain::verifier::Verifier;
use crate::service::error::{Rejected, ServiceError};
use crate::service::revocations::Announcer;
use crate::service::{Grant, Outcome, RefreshRequest, Service};

/// The state of the scope: one per [`Auth`](crate::Auth), shared by all workers.
pub(crate) struct State {
    pub(crate) service: Arc<Service>,
    pub(crate) verifier: Verifier,
    pub(crate) announcer: Announcer,
    pub(crate) jobs: Jobs,
    pub(crate) cookies: Cookies,
    pub(crate) origins: OriginPolicy,
    pub(crate) proxies: TrustedProxies,
    pub(crate) registration_open: bool,
    /// Whether the scope says what arrives of a request.
    pub(crate) examines: bool,
    pub(crate) refresh_requires_access_token: bool,
}

impl State {
    /// Runs an operation that needs the database. Sessions it ended are dead on this node, the other nodes are being told, and
    /// what happened is reported, before the answer goes out.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        by: Actor,
        operation: impl FnOnce(&Service) -> Outcome<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.run_at(&self.jobs.database, Instant::now(), by, operation).await
    }

    /// The same for what comes before a password is hashed.
    pub(crate) async fn begin<T: Send + 'static>(
        &self,
        by: Actor,
        operation: impl FnOnce(&Service) -> Outcome<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.run_at(&self.jobs.attempts, Instant::now(), by, operation).await
    }

    /// Refreshes: first together with whoever else wants to, and by itself where nothing was added that way.
    pub(crate) async fn refresh(&self, by: Actor, request: RefreshRequest) -> Result<Grant, ServiceError> {
        let (since, request) = (Instant::now(), Arc::new(request));
        let mut tried = false;
        if let Some(rotations) = &self.jobs.rotations {
            match rotations.run(Arc::clone(&request)).await {
                // Signed here and not by the thread of the rotations, on which everybody waits.
                Ok(Some(rotated)) => return self.service.grant_rotated(rotated, &request),
                // After a panic, too, it may have been committed: the second look tells.
                Ok(None) | Err(NotDone::Died) => tried = true,
                Err(NotDone::Busy) => {}
                Err(not_done) => return Err(ServiceError::Database(not_done_reason(not_done))),
            }
        }
        self.run_at(&self.jobs.database, since, by, move |service| service.refresh(&request, tried)).await
    }

    async fn run_at<T: Send + 'static>(
        &self,
        gate: &Gate,
        since: Instant,
        by: Actor,
        operation: impl FnOnce(&Service) -> Outcome<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (service, announcer) = (Arc::clone(&self.service), self.announcer.clone());
        let deadline = since + DATABASE_DEADLINE;
        let job = move || {
            let outcome = service.until(deadline, operation);
            announcer.announce(&outcome.ended);
            service.events.report(by, outcome.facts);
            outcome.result
        };
        gate.run(since.into(), job)
            .await
            .unwrap_or_else(|not_done| Err(ServiceError::Database(not_done_reason(not_done))))
    }

    /// Takes a place in the queue for hashing, before anything else is done.
    pub(crate) fn queue_for_hashing(&self) -> Result<Place, ServiceError> {
        self.jobs.hashing.enter().map_err(|_| ServiceError::Overloaded)
    }

    /// Runs an operation that hashes a password, and reports what happened.
    pub(crate) async fn hash<T: Send + 'static>(
        &self,
        by: Actor,
        operation: impl FnOnce(&Service) -> Outcome<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.hash_from(self.queue_for_hashing()?, by, operation).await
    }

    /// The same, from a place in the queue that was taken before.
    pub(crate) async fn hash_from<T: Send + 'static>(
        &self,
        place: Place,
        by: Actor,
        operation: impl FnOnce(&Service) -> Outcome<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let service = Arc::clone(&self.service);
        let job = move || {
            let outcome = operation(&service);
            service.events.report(by, outcome.facts);
            outcome.result
        };
        self.jobs
            .hashing
            .run_from(place, Instant::now().into(), job)
            .await
            .unwrap_or_else(|_| Err(ServiceError::Overloaded))
    }

    /// Reports what a route has found out by itself, before any operation.
    pub(crate) fn report(&self, request: &HttpRequest, fact: Fact) {
        self.service.events.report(self.client(request), [fact]);
    }

    /// Who is behind a request.
    pub(crate) fn client(&self, request: &HttpRequest) -> Actor {
        let address = ClientAddress::of(request.peer_addr(), request.headers(), &self.proxies);
        Actor::Client { address: address.map(ClientAddress::ip) }
    }

    /// The value of the refresh cookie, if there is one; two are refused.
    pub(crate) fn refresh_cookie(
        &self,
        request: &HttpRequest,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, AuthError> {
        let extensions = request.extensions();
        let nothing = StrippedCookie::default();
        let stripped = extensions.get().unwrap_or(&nothing);
        let value = self.cookies.refresh.read(request.headers(), stripped);
        let value = value.map_err(|_| {
            AuthError::with_detail(ErrorCode::InvalidRequest, "The refresh cookie was sent twice.")
        })?;
        Ok(value.map(|value| Zeroizing::new(value.to_vec())))
    }

    /// Whether the page behind a state-changing request may send it.
    pub(crate) fn check_origin(&self, request: &HttpRequest, evidence: Evidence) -> Result<(), AuthError> {
        let checked = self.origins.check(request.headers(), requested_host(request.head()), evidence);
        checked.map_err(|reason| {
            self.report(request, Fact::new(EventKind::OriginRejected { reason }));
            ErrorCode::CsrfRejected.into()
        })
    }

    /// The genuine refresh token in the cookie of a login or registration. Anything else there is ignored.
    pub(crate) fn replaced_token(&self, request: &HttpRequest) -> Result<Option<RefreshToken>, AuthError> {
        let value = self.refresh_cookie(request)?;
        Ok(value.and_then(|value| self.service.refresh_keys.parse(&value)))
    }

    /// The genuine device token in its cookie. Anything else there is as none, also two of them: a login that is known less is
    /// better than one that is refused.
    pub(crate) fn device_cookie(&self, request: &HttpRequest) -> Option<PresentedDevice> {
        let extensions = request.extensions();
        let nothing = StrippedCookie::default();
        let stripped = extensions.get().unwrap_or(&nothing);
        let value = self.cookies.device.read(request.headers(), stripped).ok().flatten()?;
        self.service.devices.parse(value)
    }

    /// What is worth remembering about the device behind a request.
    pub(crate) fn device(&self, request: &HttpRequest, name: Option<String>) -> Device {
        let address = self.client(request).address();
        let user_agent = request.headers().get(actix_web::http::header::USER_AGENT);
        Device {
            name,
            user_agent: user_agent.and_then(|value| clean_user_agent(value.as_bytes())),
            ip: address.map(|address| address.to_string()),
        }
    }
}

fn not_done_reason(not_done: NotDone) -> &'static str {
    match not_done {
        NotDone::Busy => "every connection is busy",
        NotDone::TimedOut => "the database took too long",
        NotDone::Died => "a database job died",
    }
}

/// From what an operation came to, to what the client is told. The one place where they meet.
impl From<ServiceError> for AuthError {
    fn from(error: ServiceError) -> Self {
        let rejected = match error {
            ServiceError::Rejected(rejected) => rejected,
            ServiceError::Overloaded => return Self::overloaded(),
            ServiceError::Store(_) | ServiceError::Database(_) | ServiceError::Internal(_) => {
                tracing::error!(%error, "a request could not be answered");
                return ErrorCode::StorageUnavailable.into();
            }
        };
        Self::from(match rejected {
            Rejected::WeakPassword(detail) => return Self::with_reason(ErrorCode::WeakPassword, &detail),
            Rejected::EmailTaken => ErrorCode::EmailTaken,
            Rejected::InvalidCredentials => ErrorCode::InvalidCredentials,
            Rejected::TooManyAttempts { retry_after } => return Self::too_many_attempts(retry_after),
            Rejected::WrongPassword => ErrorCode::WrongPassword,
            Rejected::HostRefused => ErrorCode::Forbidden,
            Rejected::RefreshTokenInvalid => ErrorCode::RefreshTokenInvalid,
            Rejected::RefreshTokenExpired(reason) => {
                return Self::session_over(ErrorCode::RefreshTokenExpired, reason);
            }
            Rejected::RefreshTokenReused => {
                return Self::session_over(ErrorCode::RefreshTokenReused, Some(RevocationReason::Reuse));
            }
            Rejected::SessionRevoked(reason) => return Self::session_over(ErrorCode::SessionRevoked, reason),
            Rejected::TokenMismatch => ErrorCode::TokenMismatch,
            Rejected::UnknownUser | Rejected::UnknownSession => ErrorCode::NotFound,
        })
    }
}
