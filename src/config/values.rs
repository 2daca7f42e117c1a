//! The forms of values in the environment: durations, sizes, lists; and the rules about database URLs.

use std::time::Duration;

use super::ConfigError;

/// `0s`, `30s`, `5m`, `12h`, `14d`: a whole number and its unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let split = text.len().checked_sub(1)?;
    let (number, unit) = text.split_at_checked(split)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(whole(number)?.checked_mul(seconds)?))
}

/// `64MiB`, `1GiB`, `512KiB` or a number of bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let unit = units.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, bytes): (&str, u64) = unit.unwrap_or((text, 1));
    whole(number)?.checked_mul(bytes)
}

/// Digits only: no sign, no space, no fraction.
pub(super) fn whole(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Comma-separated; spaces around the items do not count, and empty items are none.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// A libpq that was built without TLS connects in the clear even where `sslmode=prefer` suggests otherwise, so it may only
/// go to loopback addresses and Unix sockets.
pub(super) fn check_database_url(variable: &'static str, url: &str) -> Result<(), ConfigError> {
    let example = "postgres://user:password@db.example.com/app";
    if url.is_empty() {
        return Err(ConfigError::new(variable, "is empty", example));
    }
    if url.split_once("://").is_some_and(|(scheme, _)| !matches!(scheme, "postgres" | "postgresql")) {
        return Err(ConfigError::new(variable, "is the URL of something else than Postgres", example));
    }
    let without_tls = cfg!(all(feature = "bundled-libpq", not(feature = "bundled-libpq-tls")));
    if without_tls && !is_local(url, |name| std::env::var(name).ok().filter(|value| !value.is_empty())) {
        let fault = "leads to a host that is not loopback, but this build's libpq has no TLS: \
                     build without the feature bundled-libpq, or with bundled-libpq-tls";
        return Err(ConfigError::new(variable, fault, "postgres://localhost/app"));
    }
    Ok(())
}

/// Whether libpq goes nowhere else than to loopback addresses and sockets by this connection string. What the string leaves
/// open it takes from the environment. What cannot be read is not local.
fn is_local(url: &str, variable: impl Fn(&str) -> Option<String>) -> bool {
    let Some(parameters) = parameters(url) else { return false };
    let named = |wanted: &'static str| {
        parameters
            .iter()
            .filter(move |(name, value)| *name == wanted && !value.is_empty())
            .map(|(_, value)| *value)
    };
    // A service is an entry in a file, in which any host may stand.
    if named("service").next().is_some() || variable("PGSERVICE").is_some() {
        return false;
    }
    [("host", "PGHOST"), ("hostaddr", "PGHOSTADDR")].into_iter().all(|(name, default)| {
        let default = variable(default).filter(|_| named(name).next().is_none());
        let all_local = |hosts: &str| hosts.split(',').all(is_local_host);
        named(name).all(all_local) && default.as_deref().is_none_or(all_local)
    })
}

/// The parameters of a connection string, in its URL or its `key=value` form. The hosts of a URL are one of them.
fn parameters(url: &str) -> Option<Vec<(&str, &str)>> {
    let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
        return settings(url);
    };
    // A password may hold what ends a host.
    let before_path = rest.split('/').next().unwrap_or_default();
    let rest = before_path.split_once('@').map_or(rest, |(user, _)| &rest[user.len() + 1..]);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let hosts = ("host", path.split('/').next().unwrap_or_default());
    // Names may be percent-encoded as well, which nobody does.
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let parameters =
        parameters.map(|parameter| parameter.split_once('=').filter(|(name, _)| !name.contains('%')));
    std::iter::once(Some(hosts)).chain(parameters).collect()
}

/// `name = value name='value'`: with or without spaces and quotes.
fn settings(text: &str) -> Option<Vec<(&str, &str)>> {
    let (mut settings, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('\'') {
            Some(quoted) => {
                let (value, after) = quoted.split_at(closing_quote(quoted)?);
                (value, &after[1..])
            }
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        settings.push((name.trim_end(), value));
        rest = after.trim_start();
    }
    Some(settings)
}

fn closing_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.find(|character| {
        let closes = character == '\'' && !escaped;
        escaped = character == '\\' && !escaped;
        closes
    })
}

fn is_local_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or_default(),
        None => host,
    };
    let socket = name.is_empty() || name.starts_with('/') || name.starts_with('@') || name.starts_with("%2F");
    socket || name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_whole_number_and_a_unit() {
        for (text, seconds) in [("0s", 0), ("30s", 30), ("5m", 300), ("12h", 43_200), ("14d", 1_209_600)] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "s", "5", "-5s", "5 s", "1.5h", "5w", "99999999999999999999s", "18446744073709551615d", "5µ"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_binary_unit() {
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("1024"), Some(1024));
        for text in ["", "MiB", "64MB", "64 MiB", "-1", "99999999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn hosts_are_found_wherever_a_connection_string_may_name_them() {
        let local = [
            "postgres://localhost/app",
            "postgres:///app?host=/run/postgresql",
            "postgres://user:p%40ss@127.0.0.1:5432/app",
            "postgres://[::1]:5432/app",
            "postgres://%2Frun%2Fpg/app",
            "host=/tmp dbname=app",
            "dbname=app",
            "host = '/tmp' dbname = app",
            "postgres://user:host=db.example.com@localhost/app",
            "password='it\\'s host=db.example.com' host=localhost",
        ];
        let remote = [
            "postgres://db.example.com/app",
            "postgres://localhost,db.example.com/app",
            "postgres:///app?host=db.example.com",
            "postgres://localhost/app?hostaddr=10.0.0.1",
            "host=db.example.com dbname=app",
            "postgres://[2001:db8::1]/app",
            "host = db.example.com",
            "host= 'db.example.com' dbname=app",
            "dbname=app\thost =db.example.com",
            "host=localhost hostaddr = 10.0.0.1",
            "password='it\\'s' host=db.example.com",
            "service=production",
            "postgres:///app?service=production",
            "postgres:///app?%68ost=db.example.com",
            "postgres://localhost:?@db.example.com/app",
            "host",
        ];
        for url in local {
            assert!(is_local(url, |_| None), "{url}");
        }
        for url in remote {
            assert!(!is_local(url, |_| None), "{url}");
        }
    }

    #[test]
    fn what_a_connection_string_leaves_open_comes_from_the_environment() {
        for (url, variable, value, local) in [
            ("postgres:///app", "PGHOST", "/run/postgresql", true),
            ("postgres:///app", "PGHOST", "db.example.com", false),
            ("dbname=app", "PGHOST", "localhost,db.example.com", false),
            ("host='' dbname=app", "PGHOST", "db.example.com", false),
            ("postgres://localhost/app", "PGHOST", "db.example.com", true),
            ("host=localhost", "PGHOST", "db.example.com", true),
            ("postgres://localhost/app", "PGHOSTADDR", "10.0.0.1", false),
            ("postgres://localhost/app", "PGHOSTADDR", "127.0.0.1", true),
            ("host=localhost hostaddr=::1", "PGHOSTADDR", "10.0.0.1", true),
            ("postgres://localhost/app", "PGSERVICE", "production", false),
        ] {
            let set = |name: &str| (name == variable).then(|| value.to_owned());
            assert_eq!(is_local(url, set), local, "{url} with {variable}={value}");
        }
    }
}
