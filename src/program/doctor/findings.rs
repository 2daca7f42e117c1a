//! What the answers mean, and what to change. One function for each subject.

use ureq::http::{Uri, header};

use super::way::{Answer, Observed, PRETENDED_ADDRESS, Report};

/// A subject, and what is to be said about it.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) subject: &'static str,
    pub(super) verdict: Verdict,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Good,
    /// Works, but is worth knowing.
    Hint {
        seen: String,
        remedy: String,
    },
    /// Does not work, or is not safe.
    Fault {
        seen: String,
        remedy: String,
    },
}

use Verdict::Good;

fn fault(seen: impl Into<String>, remedy: impl Into<String>) -> Verdict {
    Verdict::Fault { seen: seen.into(), remedy: remedy.into() }
}

fn hint(seen: impl Into<String>, remedy: impl Into<String>) -> Verdict {
    Verdict::Hint { seen: seen.into(), remedy: remedy.into() }
}

/// All that there is to say. Where the service itself does not answer, that is all.
pub(super) fn examine(observed: &Observed) -> Vec<Finding> {
    let [first, second] = &observed.reports;
    let reports = (first.json::<Report>(), second.json::<Report>());
    let (Some(report), Some(again)) = reports else {
        return vec![Finding { subject: "The service", verdict: unreached(first) }];
    };
    let finding = |subject, verdict| Finding { subject, verdict };
    vec![
        finding("Encryption", encryption(&observed.url)),
        finding("The cookie on its way out", cookie_out(first, &report)),
        finding("The cookie on its way back", cookie_back(&report, &observed.posted)),
        finding("The host", host(&observed.url, &report, &observed.posted)),
        finding("The access token", access_token(&observed.guarded)),
        finding("The address of the client", client(first, &report)),
        finding("The scheme", scheme(&observed.url, &report)),
        finding("Caches", caches(first, &report, &again)),
        finding("Long bodies", long_bodies(&observed.posted, &observed.long)),
        finding("Refusals", refusals(&observed.nowhere)),
    ]
}

/// Why there is no report.
fn unreached(answer: &Answer) -> Verdict {
    if let Some(target) = answer.header(header::LOCATION).filter(|_| (300..400).contains(&answer.status)) {
        return fault(
            format!("the answer is a redirect to {target}"),
            "Clients do not follow it with their tokens. Give them the address at the end of it.",
        );
    }
    match answer.code().as_deref() {
        Some("not_found") => fault(
            "it answers, but does not examine requests",
            "Start it with AUTHFLOW_DOCTOR=1 for as long as you need this, or check the path in --url.",
        ),
        Some(code) => fault(format!("it answers with {code}"), "See its log."),
        None => fault(
            format!("something else answers, with status {}", answer.status),
            "Check the address, and that the proxy hands the whole path on (nginx: proxy_pass without a path).",
        ),
    }
}

fn encryption(url: &Uri) -> Verdict {
    if url.scheme_str() == Some("https") || is_loopback(url.host().unwrap_or_default()) {
        return Good;
    }
    fault(
        "passwords and tokens travel in the clear",
        "Use https. Over http, browsers drop the refresh cookie.",
    )
}

fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Whether `Set-Cookie` arrives to the byte.
fn cookie_out(answer: &Answer, report: &Report) -> Verdict {
    let name = |cookie: &str| cookie.split('=').next().unwrap_or_default().to_owned();
    let arrived = answer.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let ours: Vec<&str> = arrived.filter(|cookie| name(cookie) == name(&report.set_cookie)).collect();
    match ours[..] {
        [] => fault(
            "it is taken out of the answers",
            "Let Set-Cookie through (nginx: no proxy_hide_header Set-Cookie, no proxy_ignore_headers Set-Cookie).",
        ),
        [cookie] if cookie == report.set_cookie && !cookie.contains("; Secure") => {
            hint("it is set without Secure", "AUTHFLOW_COOKIE_INSECURE is on, which is for development only.")
        }
        [cookie] if cookie == report.set_cookie => Good,
        [cookie] => fault(
            format!("its attributes are changed: {}", changes(&report.set_cookie, cookie)),
            "Let Set-Cookie through as it is (nginx: no proxy_cookie_flags, proxy_cookie_path, proxy_cookie_domain).",
        ),
        _ => fault(
            "it arrives more than once",
            "Let nothing add a Set-Cookie of the same name (nginx: add_header).",
        ),
    }
}

/// The attributes that are gone, and those that have come.
fn changes(sent: &str, arrived: &str) -> String {
    let attributes = |cookie: &str| cookie.split(';').skip(1).map(|part| part.trim().to_owned()).collect();
    let (sent, arrived): (Vec<String>, Vec<String>) = (attributes(sent), attributes(arrived));
    let lost =
        sent.iter().filter(|attribute| !arrived.contains(attribute)).map(|attribute| format!("-{attribute}"));
    let new =
        arrived.iter().filter(|attribute| !sent.contains(attribute)).map(|attribute| format!("+{attribute}"));
    let changes: Vec<String> = lost.chain(new).collect();
    if changes.is_empty() { "another value or another order".into() } else { changes.join(", ") }
}

/// Whether the cookie that was sent with the posted request reached the service. Only where that got there at all.
fn cookie_back(report: &Report, posted: &Answer) -> Verdict {
    let Some(seen) = posted.json::<Report>() else {
        return hint("cannot be told", "The request with it was refused; see the other faults first.");
    };
    match seen.probes.as_slice() {
        [probe] if *probe == report.nonce => Good,
        [] => fault("it does not reach the service", "Hand Cookie on (nginx: no proxy_set_header Cookie)."),
        [_] => fault(
            "it reaches the service with another value",
            "Hand it on as it came (nginx: no proxy_set_header Cookie).",
        ),
        _ => fault(
            "it reaches the service more than once",
            "Hand it on as it came (nginx: no proxy_set_header Cookie).",
        ),
    }
}

fn host(url: &Uri, report: &Report, posted: &Answer) -> Verdict {
    let asked = url.authority().map_or("", |authority| authority.as_str());
    let seen = report.host.as_deref().unwrap_or_default();
    let remedy =
        "Hand Host on as it came (nginx: proxy_set_header Host $http_host), or set AUTHFLOW_ALLOWED_ORIGINS.";
    let refused = posted.code().as_deref() == Some("csrf_rejected");
    match (refused, seen.eq_ignore_ascii_case(asked)) {
        (false, true) => Good,
        (false, false) => hint(
            format!("the service sees {seen:?} instead of {asked:?}"),
            "Pages are let in by AUTHFLOW_ALLOWED_ORIGINS; the host decides nothing then.",
        ),
        (true, false) => fault(
            format!("the service sees {seen:?} instead of {asked:?}, and refuses pages (csrf_rejected)"),
            remedy,
        ),
        (true, true) => fault(
            "pages of this origin are refused (csrf_rejected)",
            "AUTHFLOW_ALLOWED_ORIGINS is set and does not name it. If pages of it are to use the scope, add it.",
        ),
    }
}

fn access_token(guarded: &Answer) -> Verdict {
    match (guarded.status, guarded.code().as_deref()) {
        (401, Some("token_invalid")) if guarded.headers.contains_key(header::WWW_AUTHENTICATE) => Good,
        (401, Some("token_invalid")) => hint(
            "WWW-Authenticate is taken out of refusals",
            "Let it through (nginx: no proxy_hide_header WWW-Authenticate). RFC 6750 asks for it.",
        ),
        (401, Some("unauthorized")) => fault(
            "Authorization does not reach the service",
            "Hand it on (nginx: no proxy_set_header Authorization, no auth_basic for the same paths).",
        ),
        (status, _) => fault(
            format!("a request with one is answered with status {status} by something else"),
            "Let Authorization through, and refusals back as they are.",
        ),
    }
}

/// The first request pretended to be forwarded for an address that is nobody's.
fn client(answer: &Answer, report: &Report) -> Verdict {
    let (peer, client) = (shown(report.peer.as_ref()), shown(report.client.as_ref()));
    let forwarded = report.forwarded_for.as_deref();
    let trusted = report.peer_is_trusted;
    match forwarded {
        Some(addresses) if client == PRETENDED_ADDRESS && addresses != PRETENDED_ADDRESS => fault(
            format!(
                "anybody can choose it who comes from where AUTHFLOW_TRUSTED_PROXIES trusts ({addresses})"
            ),
            "If you ask from there, such as the machine of the proxy, ask from where clients are. Otherwise let the first \
             proxy set the address (nginx: proxy_set_header X-Forwarded-For $remote_addr).",
        ),
        _ if client == PRETENDED_ADDRESS => fault(
            "anybody can choose it: what a client writes into X-Forwarded-For is believed",
            "Let the proxy add the address that it sees (nginx: proxy_set_header X-Forwarded-For \
             $proxy_add_x_forwarded_for), and trust proxies only in AUTHFLOW_TRUSTED_PROXIES.",
        ),
        _ if trusted && client == peer => fault(
            format!("every client is taken for the proxy at {peer}"),
            "Let the proxy say whom it speaks for (nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for).",
        ),
        Some(addresses) if !trusted && addresses != PRETENDED_ADDRESS => fault(
            format!("every client is taken for the proxy at {peer}"),
            format!("Trust what it says: AUTHFLOW_TRUSTED_PROXIES={peer}."),
        ),
        _ if !trusted && is_in_between(answer) => fault(
            format!("something is in between, and every client is taken for it, at {peer}"),
            format!(
                "Let it say whom it speaks for (nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for), and \
                 trust it: AUTHFLOW_TRUSTED_PROXIES={peer}."
            ),
        ),
        _ => Good,
    }
}

/// The service names neither itself nor others in its answers.
fn is_in_between(answer: &Answer) -> bool {
    answer.headers.contains_key(header::SERVER) || answer.headers.contains_key(header::VIA)
}

fn shown(address: Option<&String>) -> &str {
    address.map_or("an unknown address", String::as_str)
}

fn scheme(url: &Uri, report: &Report) -> Verdict {
    let seen = report.forwarded_proto.as_deref();
    if url.scheme_str() != Some("https") || seen == Some("https") {
        return Good;
    }
    hint(
        format!("X-Forwarded-Proto says {}", seen.unwrap_or("nothing")),
        "Nothing here depends on it; links that your application makes may (nginx: proxy_set_header X-Forwarded-Proto \
         $scheme).",
    )
}

fn caches(answer: &Answer, report: &Report, again: &Report) -> Verdict {
    if report.nonce == again.nonce {
        return fault(
            "one answer came twice: something in between keeps answers with tokens",
            "Keep none below this path (nginx: proxy_cache off, no proxy_ignore_headers Cache-Control).",
        );
    }
    match answer.header(header::CACHE_CONTROL) {
        Some("no-store") => Good,
        other => fault(
            format!("Cache-Control arrives as {:?} instead of no-store", other.unwrap_or_default()),
            "Let it through (nginx: no expires, no add_header Cache-Control for these paths).",
        ),
    }
}

fn long_bodies(posted: &Answer, long: &Answer) -> Verdict {
    if long.status == posted.status {
        return Good;
    }
    fault(
        format!("a body of 15 KiB is answered with status {} by something in between", long.status),
        "Let 16 KiB through (nginx: client_max_body_size 16k or more).",
    )
}

fn refusals(nowhere: &Answer) -> Verdict {
    let kind = nowhere.header(header::CONTENT_TYPE).unwrap_or_default();
    if nowhere.code().as_deref() == Some("not_found") && kind.starts_with("application/problem+json") {
        return Good;
    }
    fault(
        "they are replaced by pages of something in between, so clients cannot read the code",
        "Let them through (nginx: no proxy_intercept_errors for these paths).",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "__Host-Http-p=1; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=60";

    #[test]
    fn the_changed_attributes_are_named() {
        let arrived = "__Host-Http-p=1; Path=/auth; HttpOnly; SameSite=Strict; Max-Age=60";
        assert_eq!(changes(SENT, arrived), "-Path=/, -Secure, +Path=/auth");
        assert_eq!(changes(SENT, &SENT.replace("p=1", "p=2")), "another value or another order");
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for url in
            ["http://localhost/", "http://127.0.0.1:8080/", "http://[::1]/", "https://app.example.com/"]
        {
            assert!(matches!(encryption(&url.parse().unwrap()), Good), "{url}");
        }
        for url in ["http://app.example.com/", "http://10.0.0.1/"] {
            assert!(matches!(encryption(&url.parse().unwrap()), Verdict::Fault { .. }), "{url}");
        }
    }
}
