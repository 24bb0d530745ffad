//! What a question's answer is sent as.

use std::sync::Arc;

use archaeo_lab::live::LiveError;
use archaeo_plot::{Image, to_png};
use archaeo_store::arrays::Arrays;
use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// A request that has no answer, and why.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    sentence: String,
}

impl Refusal {
    pub fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self { status, sentence: sentence.into() }
    }

    /// Too much is asked at once.
    pub fn busy(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
    }
}

impl From<LiveError> for Refusal {
    fn from(error: LiveError) -> Self {
        let status = match &error {
            LiveError::Model { .. } | LiveError::Image(_) => StatusCode::NOT_FOUND,
            LiveError::Class { .. } | LiveError::Asked(_) | LiveError::Attack(_) => StatusCode::BAD_REQUEST,
            LiveError::Upload { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            LiveError::NoClasses { .. }
            | LiveError::NoAttention { .. }
            | LiveError::NotWhole { .. }
            | LiveError::Analysis(_) => StatusCode::CONFLICT,
            LiveError::NotFinite { .. } | LiveError::Stopped | LiveError::Data(_) | LiveError::Plot(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, sentence(&error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.sentence }))).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// An error as a sentence of its own: with a capital letter, unless it begins with the name of a model or a file, and a full stop.
pub fn sentence(error: &LiveError) -> String {
    let text = error.to_string();
    let text = match error {
        LiveError::Model { .. } | LiveError::Image(_) | LiveError::Stopped | LiveError::NotWhole { .. } => {
            let mut letters = text.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().to_string() + letters.as_str())
                .unwrap_or_default()
        }
        _ => text,
    };
    if text.ends_with(['.', '?', '!']) { text } else { text + "." }
}

/// An answer in one of the forms in which answers are sent, ready to be.
pub enum Answer {
    /// An object.
    Json(Vec<u8>),
    /// A picture.
    Png(Vec<u8>),
    /// Arrays, with a text about them.
    Arrays(Vec<u8>),
}

impl Answer {
    pub fn json(value: &impl Serialize) -> Self {
        Self::Json(serde_json::to_vec(value).expect("answers are plain data"))
    }

    pub fn png(picture: &Arc<Image>) -> Result<Self, LiveError> {
        Ok(Self::Png(to_png(picture)?))
    }

    pub fn arrays(arrays: &Arrays) -> Self {
        Self::Arrays(arrays.to_bytes())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (kind, bytes) = match self {
            Self::Json(bytes) => ("application/json", bytes),
            Self::Png(bytes) => ("image/png", bytes),
            Self::Arrays(bytes) => ("application/octet-stream", bytes),
        };
        ([(CONTENT_TYPE, HeaderValue::from_static(kind))], bytes).into_response()
    }
}
