//! Security events, as a hook of the application hears them.

mod logins;
mod lost_answers;
mod refreshes;
mod sessions;
mod sinks;
mod table;
mod throttling;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_authflow::{AuthConfig, SecurityEvent};
use serde_json::Value;

use crate::support::{Browser, TestApp};

/// What a hook has heard, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Value>>>);

impl Heard {
    /// Sets the hook, and keeps the background task off that would add events of its own.
    fn by(&self, config: AuthConfig) -> AuthConfig {
        let heard = self.clone();
        config.prune_interval(Duration::ZERO).on_event(move |event: &SecurityEvent| {
            heard.0.lock().unwrap().push(serde_json::to_value(event).unwrap());
        })
    }

    /// What was heard since the last time.
    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The same as lines: event, reason, on whose behalf.
    fn lines(&self) -> Vec<String> {
        self.take().iter().map(line).collect()
    }

    /// The only event since the last time.
    #[track_caller]
    fn only(&self) -> Value {
        let [only] = self.take().try_into().unwrap_or_else(|all| panic!("one event, and not {all:#?}"));
        only
    }
}

/// An application whose events are heard from now on.
async fn listen(configure: impl FnOnce(AuthConfig) -> AuthConfig) -> (TestApp, Heard) {
    let heard = Heard::default();
    let app = TestApp::with(|config| configure(heard.by(config))).await;
    heard.take();
    (app, heard)
}

/// Event, reason, on whose behalf.
fn line(event: &Value) -> String {
    let words = ["event", "reason", "by"].map(|name| event[name].as_str());
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Asserts that the event is about this client's user and session, and comes from this machine.
#[track_caller]
fn is_about(event: &Value, browser: &Browser) {
    assert_eq!(event["user_id"], browser.user(), "{event}");
    assert_eq!(event["session_id"], browser.session(), "{event}");
    assert_eq!(event["address"], "127.0.0.1", "{event}");
}
