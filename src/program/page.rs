//! The page at `/`: a few static files, built in, as they stand in the folder `page`.

use actix_web::http::header;
use actix_web::{HttpResponse, Resource, web};

/// Scripts, styles and calls of this origin, and nothing else: no inline script, no frame, no form that goes elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, media type and text of one file.
macro_rules! file {
    ($name:literal, $media_type:expr) => {
        (concat!("/page/", $name), $media_type, include_str!(concat!("page/", $name)))
    };
}

const FILES: [(&str, &str, &str); 10] = [
    file!("style.css", CSS),
    file!("icon.svg", SVG),
    file!("app.js", JAVASCRIPT),
    file!("chain.js", JAVASCRIPT),
    file!("dom.js", JAVASCRIPT),
    file!("sequence.js", JAVASCRIPT),
    file!("sessions.js", JAVASCRIPT),
    file!("sign-in.js", JAVASCRIPT),
    file!("token.js", JAVASCRIPT),
    file!("wire.js", JAVASCRIPT),
];

/// Registers the page. In a demo it has more to show.
pub(crate) fn routes(app: &mut web::ServiceConfig, demo: bool) {
    app.service(file("/", HTML, html(demo)));
    for (path, media_type, text) in FILES {
        app.service(file(path, media_type, text.to_owned()));
    }
}

/// The page learns from an attribute what it has to show: a script in it would need a hole in the policy.
fn html(demo: bool) -> String {
    let html = include_str!("page/index.html");
    if demo { html.replacen("data-demo=\"off\"", "data-demo=\"on\"", 1) } else { html.to_owned() }
}

fn file(path: &str, media_type: &'static str, text: String) -> Resource {
    let text = web::Bytes::from(text);
    let answer = move || {
        let answer = HttpResponse::Ok()
            .content_type(media_type)
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .body(text.clone());
        async { answer }
    };
    web::resource(path).route(web::get().to(answer))
}
