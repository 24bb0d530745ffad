//! Questions that are answered at once.

use std::sync::Arc;

use archaeo_lab::live::{InterventionRequest, Live, LiveError, RolloutRequest};
use archaeo_plot::{Image, resize_bilinear};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::access::Visitor;
use crate::answers::{Answer, Refusal};
use crate::limits::{BODY_BYTES, BODY_TIME, NAME_LENGTH, UPLOAD_BYTES};
use crate::state::{Shared, SharedState};

type Answered = Result<Answer, Refusal>;

/// The largest side of a smaller version of a picture.
const LARGEST_SIDE: usize = 2048;

/// Images that are listed at once.
const LARGEST_PAGE: usize = 500;

impl SharedState {
    /// Asks what is on the table, when it is the visitor's turn.
    pub async fn ask(
        &self,
        visitor: &Visitor,
        question: impl FnOnce(&Live) -> Result<Answer, LiveError> + Send + 'static,
    ) -> Answered {
        let live = self.live.clone();
        Ok(self.desk.ask(visitor, move || question(&live)).await??)
    }
}

/// `?image=…` and what else a question may choose.
#[derive(Debug, Deserialize)]
pub struct About {
    image: String,
    query: Option<String>,
    fusion: Option<String>,
    discard: Option<f64>,
    start: Option<usize>,
    method: Option<String>,
    target: Option<usize>,
}

pub async fn lab(State(shared): State<Shared>, Extension(visitor): Extension<Visitor>) -> Answered {
    let command = shared.command.clone();
    let ask = move |live: &Live| {
        let mut overview = live.overview().0;
        overview.insert("ready".into(), json!(true));
        overview.insert("command".into(), json!(command));
        overview["limits"]["body"] = json!(UPLOAD_BYTES);
        Ok(Answer::json(&overview))
    };
    shared.ask(&visitor, ask).await
}

#[derive(Debug, Deserialize)]
pub struct Page {
    from: Option<usize>,
    count: Option<usize>,
}

pub async fn images(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Query(page): Query<Page>,
) -> Answered {
    let (from, count) = (page.from.unwrap_or(1), page.count.unwrap_or(60).min(LARGEST_PAGE));
    shared.ask(&visitor, move |live| Ok(Answer::json(&live.page(from, count)?))).await
}

#[derive(Debug, Deserialize)]
pub struct Shown {
    side: Option<usize>,
}

/// What is known of an image; with `.png` after its name, the image.
pub async fn image(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Path(image): Path<String>,
    Query(shown): Query<Shown>,
) -> Answered {
    let ask = move |live: &Live| match image.strip_suffix(".png") {
        None => Ok(Answer::json(&live.image(&image)?)),
        Some(id) => {
            let picture = live.picture(id)?;
            Answer::png(&smaller(picture, shown.side)?)
        }
    };
    shared.ask(&visitor, ask).await
}

/// A picture whose longer side is at most `side`.
fn smaller(picture: Arc<Image>, side: Option<usize>) -> Result<Arc<Image>, LiveError> {
    let longest = picture.width().max(picture.height());
    let Some(side) = side.map(|side| side.clamp(1, LARGEST_SIDE)).filter(|&side| side < longest) else {
        return Ok(picture);
    };
    let scaled = |length: usize| (length * side / longest).max(1);
    Ok(Arc::new(resize_bilinear(&picture, scaled(picture.width()), scaled(picture.height()))?))
}

pub async fn input(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Path((image, model)): Path<(String, String)>,
) -> Answered {
    let ask = move |live: &Live| {
        let model = model.strip_suffix(".png").unwrap_or(&model);
        Answer::png(&live.input_picture(model, &image)?)
    };
    shared.ask(&visitor, ask).await
}

#[derive(Debug, Deserialize)]
pub struct Named {
    name: Option<String>,
}

/// Adds an image. Few are received at once, each within a time, so that slow senders hold neither memory nor a place for long.
pub async fn add(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Query(named): Query<Named>,
    request: Request,
) -> Answered {
    let _place = shared
        .uploads
        .try_acquire()
        .map_err(|_| Refusal::busy("Several images arrive just now; send yours again in a moment."))?;
    let bytes = received(request, UPLOAD_BYTES).await?;
    let name = named.name.unwrap_or_else(|| "the image".into());
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_LENGTH).collect();
    shared.ask(&visitor, move |live| Ok(Answer::json(&live.add(&name, &bytes)?))).await
}

/// A body, in time.
async fn received(request: Request, most: usize) -> Result<Bytes, Refusal> {
    let body = axum::body::to_bytes(request.into_body(), most);
    match tokio::time::timeout(BODY_TIME, body).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => {
            let sentence = format!("This is larger than the {} that are accepted.", in_words(most));
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, sentence))
        }
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "This arrived too slowly; send it again.")),
    }
}

fn in_words(bytes: usize) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

pub(crate) async fn json_body<T: for<'a> Deserialize<'a>>(request: Request) -> Result<T, Refusal> {
    let bytes = received(request, BODY_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("This cannot be understood: {error}."))
    })
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident = |$live:ident, $model:ident, $about:ident| $answer:expr;)*) => {$(
        $(#[$doc])*
        pub async fn $name(
            State(shared): State<Shared>,
            Extension(visitor): Extension<Visitor>,
            Path($model): Path<String>,
            Query($about): Query<About>,
        ) -> Answered {
            shared.ask(&visitor, move |$live| $answer).await
        }
    )*};
}

questions! {
    /// What a model answers.
    answer = |live, model, about| Ok(Answer::json(&live.answer(&model, &about.image)?));
    /// Its attention in one piece.
    attention = |live, model, about| Ok(Answer::arrays(&live.matrices(&model, &about.image)?));
    /// What one query attends to.
    row = |live, model, about| {
        let at = about.query.as_deref().map(place).transpose()?.flatten();
        Ok(Answer::arrays(&live.rows(&model, &about.image, at)?))
    };
    /// Every head in numbers.
    heads = |live, model, about| Ok(Answer::json(&live.heads(&model, &about.image)?));
    /// Attention rollout.
    rollout = |live, model, about| {
        let asked = RolloutRequest {
            fusion: about.fusion.clone(),
            discard: about.discard.unwrap_or(0.0),
            start: about.start.unwrap_or(1),
        };
        Ok(Answer::arrays(&live.rollout(&model, &about.image, &asked)?))
    };
    /// One heatmap.
    explain = |live, model, about| {
        Ok(Answer::arrays(&live.explain(&model, &about.image, method(&about)?, about.target)?))
    };
    /// How far a heatmap can be believed on this image.
    faithful = |live, model, about| {
        Ok(Answer::json(&live.believed(&model, &about.image, method(&about)?, about.target)?))
    };
    /// The answer, layer by layer.
    depth = |live, model, about| Ok(Answer::arrays(&live.depth(&model, &about.image, about.target)?));
}

fn method(about: &About) -> Result<&str, LiveError> {
    about.method.as_deref().ok_or_else(|| LiveError::Asked("say which method: ?method=ID".into()))
}

/// A place as `Y,X`; `None` for what is read out.
fn place(text: &str) -> Result<Option<[f64; 2]>, LiveError> {
    if text == "readout" {
        return Ok(None);
    }
    let wrong = || LiveError::Asked(format!("{text:?} is neither readout nor a place such as 0.5,0.25"));
    let (row, column) = text.split_once(',').ok_or_else(wrong)?;
    match (row.parse(), column.parse()) {
        (Ok(row), Ok(column)) => Ok(Some([row, column])),
        _ => Err(wrong()),
    }
}

/// Hash of a model's weights, for captions.
pub async fn hash(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Path(model): Path<String>,
) -> Answered {
    shared.ask(&visitor, move |live| Ok(Answer::json(&json!({ "hash": live.weights_hash(&model) })))).await
}

pub async fn intervene(
    State(shared): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Path(model): Path<String>,
    request: Request,
) -> Answered {
    let asked: InterventionRequest = json_body(request).await?;
    shared.ask(&visitor, move |live| Ok(Answer::arrays(&live.intervene(&model, &asked)?))).await
}
