//! Routes of the host's that demand more than a valid token.

use std::time::Duration;

use actix_authflow::{Auth, HostClaims};
use actix_web::{HttpResponse, Responder, web};
use serde::{Deserialize, Serialize};

/// What the host of the tests adds to its tokens.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tenant {
    pub(crate) tenant: String,
}

pub(super) fn routes(auth: &Auth) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let guard = auth.guard();
    move |app| {
        let minutes = Duration::from_secs(5 * 60);
        for (path, guard) in [
            ("/admin", guard.clone().require_role("admin")),
            ("/orders", guard.clone().require_scope("orders:write")),
            ("/fresh", guard.clone().require_fresh(minutes)),
            ("/live", guard.clone().require_live()),
            ("/both", guard.clone().require_role("admin").require_scope("orders:write")),
        ] {
            app.service(web::scope(path).wrap(guard).route("", web::get().to(HttpResponse::Ok)));
        }
        app.route("/tenant", web::get().to(tenant));
    }
}

async fn tenant(HostClaims(claims): HostClaims<Tenant>) -> impl Responder {
    claims.tenant
}
