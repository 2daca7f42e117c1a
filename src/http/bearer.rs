//! The `Authorization: Bearer` header (RFC 6750 §2.1).

use actix_web::HttpRequest;
use actix_web::http::header;

use super::error::{AuthError, ErrorCode};

/// The access token of a request, if one was sent. Another scheme is none of ours.
///
/// # Errors
///
/// `invalid_request` for two headers, two tokens in one, bytes that no token has, or a token in the query, where servers
/// and proxies log it (RFC 9700 §4.3.2).
pub(super) fn token(request: &HttpRequest) -> Result<Option<&str>, AuthError> {
    let malformed =
        || AuthError::with_detail(ErrorCode::InvalidRequest, "The Authorization header is malformed.");
    if in_query(request.query_string()) {
        return Err(AuthError::with_detail(ErrorCode::InvalidRequest, "A token does not belong in a URL."));
    }
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let Some(header) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(AuthError::with_detail(
            ErrorCode::InvalidRequest,
            "There are two Authorization headers.",
        ));
    }
    let text = header.to_str().map_err(|_| malformed())?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Ok(None);
    }
    let token = token.trim_matches(' ');
    if is_b64token(token) { Ok(Some(token)) } else { Err(malformed()) }
}

/// `b64token` of RFC 6750 §2.1.
fn is_b64token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(allowed)
}

fn in_query(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some("access_token"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn one_bearer_token_is_read_whatever_the_case_of_the_scheme() {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let request = TestRequest::default()
                .insert_header(("Authorization", format!("{scheme} a.b.c")))
                .to_http_request();
            assert_eq!(token(&request).unwrap(), Some("a.b.c"));
        }
    }

    #[test]
    fn nothing_of_ours_is_nothing() {
        let request = TestRequest::default().insert_header(("Authorization", "Basic YTpi")).to_http_request();
        assert_eq!(token(&request).unwrap(), None);
        assert_eq!(token(&TestRequest::default().to_http_request()).unwrap(), None);
    }

    #[test]
    fn ambiguous_and_malformed_requests_are_refused() {
        for header in ["Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", "Bearer ä", "Bearer ="] {
            let request = TestRequest::default().insert_header(("Authorization", header)).to_http_request();
            assert_eq!(token(&request).unwrap_err().code(), ErrorCode::InvalidRequest, "{header}");
        }
        let two = TestRequest::default()
            .append_header(("Authorization", "Bearer a"))
            .append_header(("Authorization", "Bearer a"));
        assert!(token(&two.to_http_request()).is_err());
        let query = TestRequest::with_uri("/x?y=1&access_token=a").to_http_request();
        assert!(token(&query).is_err());
    }
}
