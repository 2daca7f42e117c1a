//! What the program says when it is up.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_authflow::AuthConfig;

use super::environment::Local;

/// One screen: where it listens, where the data is, and three lines to try.
pub(crate) fn welcome(
    addresses: &[SocketAddr],
    metrics: Option<SocketAddr>,
    local: Option<&Local>,
    config: &AuthConfig,
    demo: bool,
) -> String {
    let base = addresses.first().map_or_else(String::new, |address| format!("http://{address}"));
    let mut text = format!("\nauthflow listens on {base}\n\n  page       {base}/ in a browser\n");
    if demo {
        text.push_str(
            "  demo       --demo is on: short lives, and copies of refresh tokens in memory, for one person on this machine\n",
        );
    }
    // Writing to a String cannot fail.
    if let Some(address) = metrics {
        let _ = writeln!(text, "  metrics    http://{address}/metrics for Prometheus, not for the public");
    }
    if let Some(local) = local {
        let _ = writeln!(
            text,
            "\n  Postgres   a private one in {}, because DATABASE_URL is not set; it stops with this program\n  \
             look in    psql '{}'\n  \
             secret     {}",
            local.postgres.directory().display(),
            local.postgres.url("postgres"),
            local.secret_file.display(),
        );
    }
    if config.is_cookie_insecure() {
        let _ = writeln!(
            text,
            "\n  WARNING    AUTHFLOW_COOKIE_INSECURE is on: the refresh cookie is neither Secure nor protected by its name.\n  \
             \x20          For development on this machine only."
        );
    }
    let _ = write!(text, "\nTry it, in another terminal:\n\n{}\n\nCtrl-C stops it.\n", lines_to_try(&base));
    text
}

/// Shows a text to whoever started the program. That nobody looks is no reason to stop.
pub(crate) fn show(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Register, call, refresh. Each start suggests a new address, so that the lines work again.
fn lines_to_try(base: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    format!(
        r#"TOKEN=$(curl -sS -c cookies.txt {base}/auth/register -H 'Content-Type: application/json' -d '{{"email":"user{now}@example.com","password":"correct horse battery staple"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -sS {base}/api/me -H "Authorization: Bearer $TOKEN"
curl -sS -b cookies.txt -c cookies.txt -X POST {base}/auth/refresh -H "Authorization: Bearer $TOKEN""#
    )
}
