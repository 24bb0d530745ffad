//! Attacks: begun, followed step by step, stopped.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use archaeo_lab::live::{AttackRequest, LiveError};
use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_core::Stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::access::Visitor;
use crate::answers::{Answer, Refusal, sentence};
use crate::jobs::{ALIVE, Job, Listener};
use crate::questions::json_body;
use crate::state::{Shared, SharedState};

/// Begins an attack on a thread of its own, and says under which name it is followed.
pub async fn begin(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Result<Answer, Refusal> {
    let asked: AttackRequest = json_body(request).await?;
    let job = shared.jobs.begin(&visitor)?;
    let (id, of_thread) = (job.id.clone(), shared.clone());
    let begun = std::thread::Builder::new().name(format!("attack {id}")).spawn(move || {
        attack(&of_thread, &job, &asked);
    });
    begun.map_err(|_| Refusal::busy("The system has no thread to spare; begin in a moment."))?;
    Ok(Answer::json(&json!({ "job": id })))
}

fn attack(shared: &SharedState, job: &Job, asked: &AttackRequest) {
    let mut show = |step: archaeo_lab::live::AttackStep| {
        let data = serde_json::to_string(&step).expect("steps are plain data");
        job.keep(step.picture);
        job.tell("step", data);
    };
    match shared.live.attack(asked, &mut show, &|| job.should_stop()) {
        Ok(end) => {
            let data = serde_json::to_string(&end).expect("ends are plain data");
            job.end("done", data);
        }
        Err(LiveError::Stopped) => job.end("stopped", "{}".into()),
        Err(error) => job.end("failed", json!({ "error": sentence(&error) }).to_string()),
    }
}

fn found(shared: &SharedState, visitor: &Visitor, id: &str) -> Result<Arc<Job>, Refusal> {
    let gone =
        || Refusal::new(StatusCode::NOT_FOUND, "There is no such attack, or not any more; begin it again.");
    shared.jobs.of(visitor, id).ok_or_else(gone)
}

/// Stops an attack.
pub async fn stop(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
) -> Result<Answer, Refusal> {
    found(&shared, &visitor, &id)?.stop();
    Ok(Answer::json(&Value::Null))
}

/// The image after a step, as `K.png`.
pub async fn step(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Path((id, step)): Path<(String, String)>,
) -> Result<Answer, Refusal> {
    let job = found(&shared, &visitor, &id)?;
    let step = step.strip_suffix(".png").and_then(|step| step.parse().ok());
    let picture = step.and_then(|step| job.picture(step));
    let picture = picture.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "There is no such step."))?;
    shared.ask(&visitor, move |_| Answer::png(&picture)).await
}

/// What happens, as it happens; from `Last-Event-ID` on for who was interrupted.
pub async fn events(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let job = found(&shared, &visitor, &id)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let told = job.follow();
    let story =
        Story { listener: Listener::new(job), told: Some(told), waiting: None, known: last.unwrap_or(0) };
    Ok(Sse::new(story).keep_alive(KeepAlive::new().interval(ALIVE)))
}

type Changed = Pin<Box<dyn Future<Output = Option<watch::Receiver<usize>>> + Send>>;

/// The events of an attack, one after another, until its end.
struct Story {
    listener: Listener,
    told: Option<watch::Receiver<usize>>,
    waiting: Option<Changed>,
    known: usize,
}

impl Stream for Story {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.listener.0.after(self.known).into_iter().next() {
                self.known += 1;
                let id = self.known.to_string();
                return Poll::Ready(Some(Ok(Event::default().id(id).event(event.kind).data(event.data))));
            }
            if self.listener.0.has_ended() && self.listener.0.after(self.known).is_empty() {
                return Poll::Ready(None);
            }
            if let Some(mut told) = self.told.take() {
                self.waiting = Some(Box::pin(async move { told.changed().await.ok().map(|()| told) }));
            }
            let Some(waiting) = &mut self.waiting else { return Poll::Ready(None) };
            match waiting.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(told) => {
                    self.waiting = None;
                    self.told = told;
                }
            }
        }
    }
}
