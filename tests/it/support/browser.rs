//! A client: keeps its tokens as a browser with a little script does, or as a phone.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Answer, TestApp, jwt};

/// The password of everybody.
pub(crate) const PASSWORD: &str = "a horse of quite another colour";
/// The name of the refresh cookie.
pub(crate) const COOKIE: &str = "__Host-Http-refresh_token";
/// The name of the cookie by which a device is known again.
pub(crate) const DEVICE_COOKIE: &str = "__Host-Http-device";

/// One client with at most one session. A clone is another tab of it, or a thief with a copy.
#[derive(Clone)]
pub(crate) struct Browser {
    http: Client,
    base: String,
    transport: Transport,
    /// The JWT as it was last received. To be replaced at will.
    pub(crate) access_token: Option<String>,
    /// The refresh token as it was last received, from the cookie or the body. To be replaced at will.
    pub(crate) refresh_token: Option<String>,
    /// The device token as it was last received. To be replaced at will.
    pub(crate) device_token: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Cookie,
    Body,
}

impl Browser {
    /// A browser, which keeps the refresh token in a cookie.
    pub(crate) fn new(app: &TestApp) -> Browser {
        Browser::at_url(&app.url(""))
    }

    /// A browser for whatever serves the scope at `/auth` of this URL.
    pub(crate) fn at_url(base: &str) -> Browser {
        // The server closes what is idle for five seconds; a request that was just sent on such a connection would be lost.
        let http = Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(1)).build().unwrap();
        let (base, transport) = (base.to_owned(), Transport::Cookie);
        Browser { http, base, transport, access_token: None, refresh_token: None, device_token: None }
    }

    /// A phone, which keeps the refresh token by itself and sends it in the body.
    pub(crate) fn mobile(app: &TestApp) -> Browser {
        Browser { transport: Transport::Body, ..Browser::new(app) }
    }

    /// A browser whose user has just registered.
    pub(crate) async fn signed_up(app: &TestApp, email: &str) -> Browser {
        let mut browser = Browser::new(app);
        browser.register(email).await.expect(201);
        browser
    }

    /// A phone whose user has just registered.
    pub(crate) async fn mobile_signed_up(app: &TestApp, email: &str) -> Browser {
        let mut phone = Browser::mobile(app);
        phone.register(email).await.expect(201);
        phone
    }

    /// The same client, with the same tokens, at another node.
    pub(crate) fn at(&self, app: &TestApp) -> Browser {
        self.moved_to(&app.url(""))
    }

    /// The same client, with the same tokens, at another URL.
    pub(crate) fn moved_to(&self, base: &str) -> Browser {
        Browser { base: base.to_owned(), ..self.clone() }
    }

    /// The same client with another refresh token.
    pub(crate) fn with_refresh_token(&self, token: impl Into<String>) -> Browser {
        Browser { refresh_token: Some(token.into()), ..self.clone() }
    }

    /// The same client with another access token.
    pub(crate) fn with_access_token(&self, token: impl Into<String>) -> Browser {
        Browser { access_token: Some(token.into()), ..self.clone() }
    }

    /// The same client without its refresh token.
    pub(crate) fn without_refresh_token(&self) -> Browser {
        Browser { refresh_token: None, ..self.clone() }
    }

    /// The same client on a device that is not known.
    pub(crate) fn on_another_device(&self) -> Browser {
        Browser { device_token: None, ..self.clone() }
    }

    /// The same client without its access token.
    pub(crate) fn without_access_token(&self) -> Browser {
        Browser { access_token: None, ..self.clone() }
    }

    /// The same tokens in a client of the other transport.
    pub(crate) fn by_the_other_transport(&self) -> Browser {
        let transport = match self.transport {
            Transport::Cookie => Transport::Body,
            Transport::Body => Transport::Cookie,
        };
        Browser { transport, ..self.clone() }
    }

    /// Registers with the usual password and keeps the tokens.
    pub(crate) async fn register(&mut self, email: &str) -> Answer {
        let body = self.credentials(email, PASSWORD);
        self.post("/auth/register", &body).await
    }

    /// Logs in with the usual password and keeps the tokens.
    pub(crate) async fn login(&mut self, email: &str) -> Answer {
        self.login_with(email, PASSWORD).await
    }

    pub(crate) async fn login_with(&mut self, email: &str, password: &str) -> Answer {
        let body = self.credentials(email, password);
        self.post("/auth/login", &body).await
    }

    /// Presents both tokens, and keeps what comes.
    pub(crate) async fn refresh(&mut self) -> Answer {
        let request = self.with_both_tokens("/auth/refresh");
        self.send(request).await
    }

    /// Presents both tokens, and forgets what the answer says is to be forgotten.
    pub(crate) async fn logout(&mut self) -> Answer {
        let request = self.with_both_tokens("/auth/logout");
        self.send(request).await
    }

    /// Changes the password, and keeps the tokens of the session that comes of it.
    pub(crate) async fn change_password(&mut self, current: &str, new: &str) -> Answer {
        let body = json!({ "current_password": current, "new_password": new });
        let request = self.bearer(self.request(Method::POST, "/auth/password")).json(&body);
        self.send(request).await
    }

    /// Ends sessions by a path such as `/auth/sessions`.
    pub(crate) async fn delete(&mut self, path: &str) -> Answer {
        let request = self.bearer(self.request(Method::DELETE, path));
        self.send(request).await
    }

    /// Asks the scope who the user is.
    pub(crate) async fn me(&self) -> Answer {
        self.clone().send(self.bearer(self.request(Method::GET, "/auth/me"))).await
    }

    /// Calls a guarded route of the application.
    pub(crate) async fn call_api(&self) -> Answer {
        self.clone().send(self.bearer(self.request(Method::GET, "/api/me"))).await
    }

    /// Posts JSON without an access token, and keeps the tokens that come.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).json(body);
        self.send(request).await
    }

    /// A request with the cookies that a browser would send along, and nothing else.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        if self.transport == Transport::Body {
            return request;
        }
        let cookies = [(COOKIE, &self.refresh_token), (DEVICE_COOKIE, &self.device_token)];
        let cookies = cookies.iter().filter_map(|(name, token)| Some(format!("{name}={}", token.as_ref()?)));
        match cookies.collect::<Vec<_>>().join("; ") {
            none if none.is_empty() => request,
            cookies => request.header("Cookie", cookies),
        }
    }

    /// Adds the access token to a request.
    pub(crate) fn bearer(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.access_token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and keeps the tokens in the answer, as a client does.
    pub(crate) async fn send(&mut self, request: RequestBuilder) -> Answer {
        let answer = Answer::read(request.send().await.unwrap()).await;
        if let Some(token) = answer.access_token() {
            self.access_token = Some(token);
        }
        if let Some(token) = answer.refresh_token() {
            self.refresh_token = Some(token);
        } else if answer.set_cookie().is_some_and(|cookie| cookie.max_age() == Some(0)) {
            self.refresh_token = None;
        }
        if let Some(token) = answer.device_token() {
            self.device_token = Some(token);
        }
        answer
    }

    /// The session that the access token names.
    #[track_caller]
    pub(crate) fn session(&self) -> String {
        self.claim("sid")
    }

    /// The user that the access token names.
    #[track_caller]
    pub(crate) fn user(&self) -> String {
        self.claim("sub")
    }

    #[track_caller]
    fn claim(&self, name: &str) -> String {
        let token = self.access_token.as_deref().expect("no access token");
        jwt::claims(token)[name].as_str().unwrap().to_owned()
    }

    fn credentials(&self, email: &str, password: &str) -> Value {
        match self.transport {
            Transport::Cookie => json!({ "email": email, "password": password }),
            Transport::Body => {
                let device = &self.device_token;
                json!({ "email": email, "password": password, "transport": "body", "device_token": device })
            }
        }
    }

    fn with_both_tokens(&self, path: &str) -> RequestBuilder {
        let request = self.bearer(self.request(Method::POST, path));
        match &self.refresh_token {
            Some(token) if self.transport == Transport::Body => {
                request.json(&json!({ "refresh_token": token }))
            }
            _ => request,
        }
    }
}
