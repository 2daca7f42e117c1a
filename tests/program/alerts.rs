//! What the alert rules ask for, beside what a server has from its first moment on.

use std::collections::BTreeMap;
use std::fs;

use crate::http::Request;
use crate::measured::{METRICS, address, samples, wait_for};
use crate::served::Served;

/// What a rule selects: the name of a metric, and for each label the values that it asks for.
#[derive(Debug)]
struct Selector {
    metric: String,
    labels: BTreeMap<String, Vec<String>>,
}

impl Selector {
    /// At the head of a text that goes on.
    fn at(text: &str) -> Self {
        let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (metric, rest) = text.split_at(end);
        let inside = rest.strip_prefix('{').map_or("", |rest| rest.split('}').next().unwrap());
        let pairs = inside.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let labels = pairs.map(|pair| {
            let (label, values) = pair.trim_end_matches('"').split_once('"').unwrap();
            (label.trim_end_matches(['=', '~']).to_owned(), values.split('|').map(str::to_owned).collect())
        });
        Self { metric: metric.to_owned(), labels: labels.collect() }
    }

    /// The labels of a sample that it selects.
    fn selected<'a>(&self, sample: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let (metric, labels) = sample.trim_end_matches('}').split_once('{').unwrap_or((sample, ""));
        let labels = labels.split(',').filter_map(|pair| pair.split_once('='));
        let labels: Vec<_> = labels.map(|(label, value)| (label, value.trim_matches('"'))).collect();
        let wanted = self.labels.iter().all(|(label, values)| {
            labels.iter().any(|(name, value)| name == label && values.iter().any(|wanted| wanted == value))
        });
        (metric == self.metric && wanted).then_some(labels)
    }
}

const ROUTES: [&str; 10] = [
    "/register",
    "/login",
    "/refresh",
    "/logout",
    "/me",
    "/sessions",
    "/sessions/{id}",
    "/password",
    "/.well-known/jwks.json",
    "/client.js",
];

/// Whoever first hears of a counter when it stands at one has seen no increase of it.
#[test]
fn whatever_an_alert_asks_for_is_there_from_the_first_moment() {
    let rules = fs::read_to_string("deploy/prometheus/alerts.yml").unwrap();
    let rules: String = rules.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let mut served = Served::with(&[METRICS]);
    // The first answer comes when the routes are there, and how things stand is looked at beside that.
    served.send(&Request::get("/auth/nowhere")).problem(404, "not_found");
    let scraped = wait_for(address(&served), |samples| samples.contains_key("authflow_pool_size"));
    let samples = samples(&scraped);
    let selectors: Vec<_> =
        rules.match_indices("authflow_").map(|(place, _)| Selector::at(&rules[place..])).collect();
    assert!(selectors.len() > 15, "{}", selectors.len());
    for route in ROUTES {
        let errors = format!(r#"authflow_request_duration_seconds_count{{route="{route}",status="5xx"}}"#);
        assert_eq!(samples.get(errors.as_str()), Some(&0.0), "{scraped}");
    }
    for selector in selectors {
        let found: Vec<_> = samples.keys().filter_map(|sample| selector.selected(sample)).collect();
        assert!(!found.is_empty(), "{selector:?} in {scraped}");
        for (label, values) in &selector.labels {
            for value in values {
                let some = found.iter().flatten().any(|found| *found == (label.as_str(), value.as_str()));
                assert!(some, "{label}={value} of {selector:?} in {scraped}");
            }
        }
    }
}
