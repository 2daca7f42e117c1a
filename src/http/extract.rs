//! Extractors: the user of a request, as an argument of a handler.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use serde::de::DeserializeOwned;

use super::bearer;
use super::error::{AuthError, ErrorCode};
use crate::domain::claims::Claims;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::verifier::Verifier;

/// The authenticated user of a request. As an argument of a handler it admits nobody else.
///
/// Works with and without the [`Guard`](crate::Guard); behind the guard the token is verified only once.
///
/// ```
/// use actix_authflow::Authenticated;
/// use actix_web::{Responder, get};
///
/// #[get("/me")]
/// async fn me(user: Authenticated) -> impl Responder {
///     format!("user {}", user.id())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Authenticated(Arc<Claims>);

impl Authenticated {
    pub(super) fn new(claims: Arc<Claims>) -> Self {
        Self(claims)
    }

    /// The user.
    pub fn id(&self) -> UserId {
        self.0.user_id()
    }

    /// The session.
    pub fn session_id(&self) -> SessionId {
        self.0.session_id()
    }

    /// All verified claims of the access token.
    pub fn claims(&self) -> &Claims {
        &self.0
    }

    /// Whether the user had this role when the token was issued.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.roles().iter().any(|own| own == role)
    }
}

impl FromRequest for Authenticated {
    type Error = AuthError;
    type Future = Ready<Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identify(request).and_then(|user| user.ok_or(ErrorCode::Unauthorized.into())))
    }
}

/// The user of a request, or nobody. A token that is present but bad is refused all the same, which `Option<Authenticated>`
/// would let pass as nobody.
///
/// ```
/// use actix_authflow::MaybeAuthenticated;
/// use actix_web::{Responder, get};
///
/// #[get("/greeting")]
/// async fn greeting(MaybeAuthenticated(user): MaybeAuthenticated) -> impl Responder {
///     if user.is_some() { "welcome back" } else { "welcome" }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MaybeAuthenticated(
    /// The user, if an access token was sent.
    pub Option<Authenticated>,
);

impl FromRequest for MaybeAuthenticated {
    type Error = AuthError;
    type Future = Ready<Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identify(request).map(Self))
    }
}

/// The host's own claims of the access token, as a type: the other side of the claims hook.
///
/// A token without them, issued before the hook was set, is refused with 401 `token_invalid`; the client's next refresh
/// brings one that has them.
///
/// ```
/// use actix_authflow::HostClaims;
/// use actix_web::{Responder, get};
///
/// #[derive(serde::Deserialize)]
/// struct Tenant {
///     tenant: String,
/// }
///
/// #[get("/tenant")]
/// async fn tenant(HostClaims(claims): HostClaims<Tenant>) -> impl Responder {
///     claims.tenant
/// }
/// ```
#[derive(Debug, Clone)]
pub struct HostClaims<T>(
    /// The claims.
    pub T,
);

impl<T: DeserializeOwned + 'static> FromRequest for HostClaims<T> {
    type Error = AuthError;
    type Future = Ready<Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = identify(request).and_then(|user| user.ok_or(ErrorCode::Unauthorized.into()));
        ready(user.and_then(|user| {
            user.claims().host_claims().map(Self).map_err(|_| ErrorCode::TokenInvalid.into())
        }))
    }
}

/// The user that the guard has found, or else the one that the registered verifier finds.
fn identify(request: &HttpRequest) -> Result<Option<Authenticated>, AuthError> {
    if let Some(user) = request.extensions().get::<Authenticated>() {
        return Ok(Some(user.clone()));
    }
    let Some(token) = bearer::token(request)? else { return Ok(None) };
    let Some(verifier) = request.app_data::<Verifier>() else {
        tracing::error!(
            "an extractor of actix-authflow is used where no verifier is registered: \
             call `App::configure(auth.routes(..))`, or wrap the scope in a guard, or add `App::app_data(verifier)`"
        );
        return Err(ErrorCode::TokenInvalid.into());
    };
    Ok(Some(Authenticated::new(verifier.verify(token)?)))
}
