//! What all requests share, and which request is for what.

use std::sync::Arc;

use archaeo_lab::live::Live;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use tokio::sync::Semaphore;

use crate::access::{Access, guard};
use crate::attacks;
use crate::desk::Desk;
use crate::jobs::Jobs;
use crate::limits::{BODY_BYTES, UPLOAD_BYTES, UPLOADS};
use crate::page;
use crate::questions;

/// What is on the table, and how it got there.
pub struct Table {
    /// Models, images and findings.
    pub live: Live,
    /// What was typed, for captions.
    pub command: String,
}

/// What all requests share.
pub(crate) type Shared = Arc<SharedState>;

pub(crate) struct SharedState {
    pub live: Arc<Live>,
    pub command: String,
    pub access: Access,
    /// Questions that are answered at once.
    pub desk: Desk,
    pub jobs: Jobs,
    pub uploads: Semaphore,
}

/// Everything that can be asked, with the page.
pub fn router(table: Table, access: Access, desk: Desk) -> Router {
    let shared: Shared = Arc::new(SharedState {
        live: Arc::new(table.live),
        command: table.command,
        access,
        desk,
        jobs: Jobs::default(),
        uploads: Semaphore::new(UPLOADS),
    });
    Router::new()
        .route("/api/lab", get(questions::lab))
        .route("/api/images", get(questions::images))
        .route("/api/images", post(questions::add).layer(DefaultBodyLimit::max(UPLOAD_BYTES)))
        .route("/api/images/{image}", get(questions::image))
        .route("/api/images/{image}/input/{model}", get(questions::input))
        .route("/api/models/{model}/answer", get(questions::answer))
        .route("/api/models/{model}/attention", get(questions::attention))
        .route("/api/models/{model}/row", get(questions::row))
        .route("/api/models/{model}/heads", get(questions::heads))
        .route("/api/models/{model}/rollout", get(questions::rollout))
        .route("/api/models/{model}/explain", get(questions::explain))
        .route("/api/models/{model}/faithful", get(questions::faithful))
        .route("/api/models/{model}/depth", get(questions::depth))
        .route("/api/models/{model}/hash", get(questions::hash))
        .route("/api/models/{model}/intervene", post(questions::intervene))
        .route("/api/attacks", post(attacks::begin))
        .route("/api/attacks/{job}", delete(attacks::stop))
        .route("/api/attacks/{job}/events", get(attacks::events))
        .route("/api/attacks/{job}/steps/{step}", get(attacks::step))
        .fallback(page::file)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}
