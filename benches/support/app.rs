//! An application with the same handlers behind the guard and in the open, called in this process without any socket.

use std::time::{Duration, Instant};

use actix_authflow::{Authenticated, Guard, Verifier};
use actix_web::dev::Service as _;
use actix_web::http::{StatusCode, header};
use actix_web::rt::System;
use actix_web::test::{self, TestRequest};
use actix_web::{App, web};

/// So many requests are made at a time, before the clock starts.
const BATCH: u64 = 64;

pub(crate) struct Application {
    batch: Box<dyn Fn(Vec<TestRequest>) -> (Duration, StatusCode)>,
}

/// A request that is sent again and again.
pub(crate) struct Call {
    path: &'static str,
    authorization: Option<String>,
}

impl Call {
    /// `/open/..` lies in the open, `/guarded/..` behind the guard; the handler of `../user` takes the user.
    pub(crate) fn new(path: &'static str, token: Option<&str>) -> Self {
        Self { path, authorization: token.map(|token| format!("Bearer {token}")) }
    }

    fn request(&self) -> TestRequest {
        let request = TestRequest::with_uri(self.path);
        match &self.authorization {
            Some(value) => request.insert_header((header::AUTHORIZATION, value.as_str())),
            None => request,
        }
    }
}

impl Application {
    pub(crate) fn start(verifier: Verifier) -> Self {
        let system = System::new();
        let open = web::scope("/open").configure(handlers);
        let guarded = web::scope("/guarded").configure(handlers).wrap(Guard::new(verifier.clone()));
        let app = App::new().app_data(verifier).service(open).service(guarded);
        let service = system.block_on(test::init_service(app));
        let batch = move |requests: Vec<TestRequest>| {
            let requests: Vec<_> = requests.into_iter().map(TestRequest::to_request).collect();
            system.block_on(async {
                let mut status = StatusCode::IM_A_TEAPOT;
                let start = Instant::now();
                for request in requests {
                    status = match service.call(request).await {
                        Ok(response) => response.status(),
                        // What the server does with the error of a middleware.
                        Err(error) => error.error_response().status(),
                    };
                }
                (start.elapsed(), status)
            })
        };
        Self { batch: Box::new(batch) }
    }

    /// What a call is answered with.
    pub(crate) fn status(&self, call: &Call) -> StatusCode {
        (self.batch)(vec![call.request()]).1
    }

    /// The time of so many calls, without that of making the requests.
    pub(crate) fn time(&self, call: &Call, calls: u64) -> Duration {
        let batches = (0..calls).step_by(BATCH as usize).map(|done| BATCH.min(calls - done));
        batches.map(|size| (self.batch)((0..size).map(|_| call.request()).collect()).0).sum()
    }
}

fn handlers(scope: &mut web::ServiceConfig) {
    scope.route("/item", web::get().to(item)).route("/user", web::get().to(user));
}

async fn item() -> &'static str {
    "item"
}

async fn user(user: Authenticated) -> String {
    user.id().to_string()
}
