//! `/metrics` for Prometheus, on an address of its own: how much goes on is nobody's business who only logs in.

use std::net::SocketAddr;
use std::time::Duration;

use actix_authflow::{AuthError, ErrorCode};
use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::{App, HttpResponse, HttpServer, rt, web};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::Result;

/// From a guarded insertion to the deadline for an answer, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// What was measured since the last scrape waits in memory; where nobody scrapes, it is summed up all the same.
const UPKEEP: Duration = Duration::from_secs(5);
/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the library measures, where it is shown. It is there until it is stopped, also while the last requests are answered.
pub(crate) struct Metrics {
    address: SocketAddr,
    server: ServerHandle,
}

impl Metrics {
    /// Takes in what is measured from now on, and answers `/metrics` with it and nothing else.
    pub(crate) fn serve(bind: SocketAddr) -> Result<Self> {
        let recorder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)?;
        let recorded = recorder.install_recorder()?;
        let shown = recorded.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(shown.clone()))
                .route("/metrics", web::get().to(show))
                .default_service(web::to(|| async { Err::<&str, _>(AuthError::from(ErrorCode::NotFound)) }))
        });
        let server = server.workers(1).disable_signals().bind(bind).map_err(|error| {
            format!(
                "cannot listen on {bind}: {error} (another address: AUTHFLOW_METRICS_BIND=127.0.0.1:9465)"
            )
        })?;
        let address = server.addrs().first().copied().unwrap_or(bind);
        let server = server.run();
        let handle = server.handle();
        rt::spawn(server);
        rt::spawn(keep_up(recorded));
        Ok(Self { address, server: handle })
    }

    /// Where it is shown.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn stop(self) {
        self.server.stop(false).await;
    }
}

async fn keep_up(recorded: PrometheusHandle) {
    loop {
        rt::time::sleep(UPKEEP).await;
        recorded.run_upkeep();
    }
}

async fn show(recorded: web::Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, TEXT)).body(recorded.render())
}
