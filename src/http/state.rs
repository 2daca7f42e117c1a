//! What the routes share.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpMessage as _, HttpRequest};
use zeroize::Zeroizing;

use super::client::{ClientAddress, TrustedProxies, clean_user_agent};
use super::cookie::{Cookies, StrippedCookie};
use super::csrf::{Evidence, OriginPolicy, requested_host};
use super::error::{AuthError, ErrorCode};
use super::gate::{Gate, Limits, NotDone, Place, Threads};
use super::threads::OwnThreads;
use crate::domain::device::PresentedDevice;
use crate::domain::event::{Actor, EventKind, Fact};
use crate::domain::refresh_token::RefreshToken;
use crate::domain::session::{Device, RevocationReason};
use crate::domain::verifier::Verifier;
use crate::service::error::{Rejected, ServiceError};
use crate::service::revocations::Announcer;
use crate::service::{Outcome, Service};

/// How long a request may wait, its turn included, before its work in the database begins; after that it never does.
pub(crate) const DATABASE_DEADLINE: Duration = Duration::from_millis(2_500);
/// How long work that began in the last moment is waited for. Together below the 3 s after which there must be an answer.
const DATABASE_REMAINDER: Duration = Duration::from_millis(300);

/// The state of the scope: one per [`Auth`](crate::Auth), shared by all workers.
pub(crate) struct State {
    pub(crate) service: Arc<Service>,
    pub(crate) verifier: Verifier,
    pub(crate) announcer: Announcer,
    pub(crate) database: Gate,
    pub(crate) hashing: Gate,
    pub(crate) cookies: Cookies,
    pub(crate) origins: OriginPolicy,
    pub(crate) proxies: TrustedProxies,
    pub(crate) registration_open: bool,
    /// Whether the scope says what arrives of a request.
    pub(crate) examines: bool,
    pub(crate) refresh_requires_access_token: bool,
}

impl State {
    /// As many jobs as there are connections; the wait for one is in async code.
    pub(crate) fn database_gate(connections: u32) -> Gate {
        let jobs = usize::try_from(connections).unwrap_or(1);
        let deadline = DATABASE_DEADLINE + DATABASE_REMAINDER;
        Gate::new(
            "database",
            Limits { jobs, queue: 4_096, patience: DATABASE_DEADLINE, deadline },
            Threads::Blocking,
        )
    }

    /// As many hashes as memory and cores allow, on threads of their own; a queue longer than what its patience can serve would
    /// only waste it.
    pub(crate) fn hashing_gate(permits: usize) -> io::Result<Gate> {
        let patience = Duration::from_secs(2);
        let limits = Limits {
            jobs: permits,
            queue: permits * 64,
            patience,
            deadline: patience + Duration::from_secs(3),
        };
        Ok(Gate::new("hashing", limits, Threads::Own(OwnThreads::start("authflow-hash", permits)?)))
    }

    /// Runs an operation that needs the database. Sessions it ended are dead on this node, the other nodes are being told, and
    /// what happened is reported, before the answer goes out.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        by: Actor,
        operation: impl FnOnce(&Service) -> Outcome<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (service, announcer) = (Arc::clone(&self.service), self.announcer.clone());
        let deadline = Instant::now() + DATABASE_DEADLINE;
        let job = move || {
            let outcome = service.until(deadline, operation);
            announcer.announce(&outcome.ended);
            service.events.report(by, outcome.facts);
            outcome.result
        };
        self.database
            .run(job)
            .await
            .unwrap_or_else(|not_done| Err(ServiceError::Database(not_done_reason(not_done))))
    }

    /// Takes a place in the queue for hashing, before anything else is done.
    pub(crate) fn queue_for_hashing(&self) -> Result<Place, ServiceError> {
        self.hashing.enter().map_err(|_| ServiceError::Overloaded)
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
        self.hashing.run_from(place, job).await.unwrap_or_else(|_| Err(ServiceError::Overloaded))
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
