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
    if without_tls && !hosts(url).all(is_local) {
        let fault = "names a host that is not loopback, but this build's libpq has no TLS: \
                     build without the feature bundled-libpq, or with bundled-libpq-tls";
        return Err(ConfigError::new(variable, fault, "postgres://localhost/app"));
    }
    Ok(())
}

/// The hosts a connection string names, in its URL or its `key=value` form, `host` and `hostaddr` parameters included.
fn hosts(url: &str) -> impl Iterator<Item = &str> {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    let (authority, parameters) = match rest {
        Some(rest) => {
            let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
            let authority = path.split('/').next().unwrap_or_default();
            (authority.rsplit('@').next().unwrap_or_default(), query)
        }
        None => ("", url),
    };
    let parameters = parameters.split(['&', ' ']).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        matches!(name.trim(), "host" | "hostaddr").then(|| value.trim_matches('\''))
    });
    authority.split(',').chain(parameters.flat_map(|value| value.split(',')))
}

fn is_local(host: &str) -> bool {
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
        ];
        let remote = [
            "postgres://db.example.com/app",
            "postgres://localhost,db.example.com/app",
            "postgres:///app?host=db.example.com",
            "postgres://localhost/app?hostaddr=10.0.0.1",
            "host=db.example.com dbname=app",
            "postgres://[2001:db8::1]/app",
        ];
        assert!(local.iter().all(|url| hosts(url).all(is_local)));
        for url in remote {
            assert!(!hosts(url).all(is_local), "{url}");
        }
    }
}
