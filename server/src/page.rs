//! The page: files that are part of the program.

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::answers::Refusal;

mod files {
    include!(concat!(env!("OUT_DIR"), "/page.rs"));
}

/// A file of the page by its path; nothing else is known, whatever the path says.
pub async fn file(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let found = files::FILES.iter().find(|(name, _)| *name == path);
    match (request.method(), found) {
        (&Method::GET | &Method::HEAD, Some((name, bytes))) => {
            let kind = HeaderValue::from_static(kind(name));
            let fresh = HeaderValue::from_static("no-cache");
            ([(CONTENT_TYPE, kind), (CACHE_CONTROL, fresh)], *bytes).into_response()
        }
        _ => Refusal::new(StatusCode::NOT_FOUND, "There is nothing here.").into_response(),
    }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_has_a_kind_and_the_first_is_there() {
        assert!(files::FILES.iter().any(|(name, _)| *name == "index.html"));
        for (name, _) in files::FILES {
            assert_ne!(kind(name), "application/octet-stream", "{name}");
            assert!(!name.contains('\\') && !name.starts_with('/'), "{name}");
        }
    }
}
