//! The page at `/` as a browser receives it. What it does is tried in `tests/browser`.

use std::collections::BTreeSet;
use std::fs;

use crate::http::Request;
use crate::served::Served;

#[test]
fn the_page_and_its_files_are_there_and_may_run_nothing_else() {
    let mut served = Served::with(&[]);
    let mut files = BTreeSet::from(["/".to_owned()]);
    for entry in fs::read_dir("src/program/page").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        files.extend((name != "index.html").then(|| format!("/page/{name}")));
    }
    for path in files {
        let reply = served.send(&Request::get(&path)).expect(200).without_cookie();
        let media_type = match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(reply.header("content-type"), media_type, "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    }
}

/// What the policy would refuse in a browser is not in it to begin with.
#[test]
fn the_page_has_no_inline_script_or_style() {
    let html = fs::read_to_string("src/program/page/index.html").unwrap();
    let inline_scripts =
        html.matches("<script").count() - html.matches("<script type=\"module\" src=").count();
    assert_eq!(inline_scripts, 0);
    for forbidden in [" style=", "<style", " onclick=", " onload=", "javascript:", "http://", "https://"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
}
