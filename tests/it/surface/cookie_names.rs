//! The refresh cookie in requests: read on bytes, by its exact name, at most once.

use actix_authflow::AuthConfig;

use super::{Connection, Request};
use crate::support::{Browser, PASSWORD, TestApp};

const NAME: &[u8] = b"__Host-Http-refresh_token";

/// A refresh with these `Cookie` headers, in which `@` stands for the token.
fn refresh(browser: &Browser, cookies: &[&[u8]]) -> Request {
    let request = Request::new("POST", "/auth/refresh").bearer(browser.access_token.as_deref().unwrap());
    cookies.iter().fold(request, |request, cookie| request.header("Cookie", with_token(browser, cookie)))
}

fn with_token(browser: &Browser, cookie: &[u8]) -> Vec<u8> {
    let token = browser.refresh_token.as_deref().unwrap().as_bytes();
    cookie.split(|byte| *byte == b'@').collect::<Vec<_>>().join(token)
}

fn named(name: &[u8]) -> Vec<u8> {
    [name, b"=@"].concat()
}

#[actix_web::test]
async fn the_cookie_is_found_among_broken_ones() {
    let app = TestApp::with(|config: AuthConfig| config).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut connection = Connection::to(&app);
    let ours = named(NAME);
    for (before, after) in [
        (&b""[..], &b""[..]),
        (b"a=1; ", b"; b=2"),
        (b"a=1;", b";b=2"),
        (b";;; ;", b";;"),
        (b"=; =x; novalue; ", b"; ="),
        (b"bytes=\xff\xfe\x80; ", b"; more=\xc3"),
        (b"quote=\"open; ", b"; close=\""),
        (b"escape=%zz%00%; ", b""),
        (b"refresh_token=rt_other; __Host-refresh_token=rt_other; ", b""),
        (b" \t ", b" \t "),
    ] {
        let header = [before, &ours, after].concat();
        let reply = connection.send(&refresh(&browser, &[&header]));
        assert_eq!(reply.status, 200, "{} {reply:?}", String::from_utf8_lossy(&header));
    }
    let spread: [&[u8]; 3] = [b"a=1; bad=\xff", &ours, b"b=2"];
    connection.send(&refresh(&browser, &spread)).expect(200);
}

/// Each of these passes for ours in actix-web's own parser, or in some other; a sibling domain can plant it in spite of
/// the prefix.
#[actix_web::test]
async fn no_other_spelling_of_the_name_is_ours() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();
    let mut connection = Connection::to(&app);
    let mut names: Vec<Vec<u8>> = [
        "%5F%5FHost-Http-refresh_token",
        "__Host-Http-refresh%5Ftoken",
        "%5f_Host-Http-refresh_token",
        "__host-http-refresh_token",
        "__HOST-HTTP-REFRESH_TOKEN",
        "__Host-Http-Refresh_Token",
        "__Host-refresh_token",
        "__Secure-refresh_token",
        "Http-refresh_token",
        "refresh_token",
        "x__Host-Http-refresh_token",
        "__Host-Http-refresh_tokenx",
        "__Host-Http-refresh_token[]",
        "\"__Host-Http-refresh_token\"",
        "$__Host-Http-refresh_token",
        "a=b __Host-Http-refresh_token",
        "a=b, __Host-Http-refresh_token",
    ]
    .map(|name| name.as_bytes().to_vec())
    .into();
    // White space of Unicode, which some parsers trim.
    for space in ["\u{a0}", "\u{85}", "\u{2000}", "\u{2009}", "\u{3000}", "\u{feff}", "\u{200b}"] {
        names.push([space.as_bytes(), NAME].concat());
        names.push([NAME, space.as_bytes()].concat());
    }
    names.push([b"\xa0", NAME].concat());
    // A space before the equals sign is a part of the name.
    names.push([NAME, b" "].concat());
    for name in names {
        let reply = connection.send(&refresh(&browser, &[&named(&name)]));
        assert_eq!(reply.status, 401, "{} {reply:?}", String::from_utf8_lossy(&name));
        reply.problem(401, "unauthorized").without_cookie();
    }
    assert_eq!(app.db_snapshot(), before);
}

#[actix_web::test]
async fn the_value_is_taken_as_it_is() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();
    let mut connection = Connection::to(&app);
    for value in [&b"\"@\""[..], b"@=", b"@%20", b"%72t_", b"=@", b"@,", b"@\xc2\xa0"] {
        let cookie = [NAME, b"=", value].concat();
        let reply = connection.send(&refresh(&browser, &[&cookie]));
        assert_eq!(reply.status, 401, "{} {reply:?}", String::from_utf8_lossy(&cookie));
        reply.problem(401, "refresh_token_invalid");
    }
    assert_eq!(app.db_snapshot(), before);
}

#[actix_web::test]
async fn the_cookie_twice_is_no_cookie_but_an_ambiguity() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();
    let mut connection = Connection::to(&app);
    let (ours, other) = (named(NAME), [NAME, b"=rt_planted"].concat());
    let same_header = |one: &[u8], two: &[u8]| vec![[one, b"; ", two].concat()];
    let two_headers = |one: &[u8], two: &[u8]| vec![one.to_vec(), two.to_vec()];
    for cookies in [
        same_header(&ours, &other),
        same_header(&other, &ours),
        same_header(&ours, &ours),
        two_headers(&ours, &other),
        two_headers(&other, &ours),
        two_headers(&ours, &ours),
        vec![[&ours[..], b"; a=1; ", NAME, b"="].concat()],
    ] {
        for path in ["/auth/refresh", "/auth/logout", "/auth/login", "/auth/register"] {
            let body = serde_json::json!({ "email": "bob@example.com", "password": PASSWORD });
            let request = match path {
                "/auth/login" | "/auth/register" => Request::post(path, body),
                _ => Request::new("POST", path).bearer(browser.access_token.as_deref().unwrap()),
            };
            let request = cookies
                .iter()
                .fold(request, |request, cookie| request.header("Cookie", with_token(&browser, cookie)));
            connection.send(&request).problem(400, "invalid_request").without_cookie();
        }
    }
    assert_eq!(app.db_snapshot(), before);
    connection.send(&refresh(&browser, &[&ours])).expect(200);
}
