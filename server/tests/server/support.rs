//! A lab with the bundled models, asked without a socket.

use std::sync::Arc;

use archaeo_lab::live::{LiveOptions, bundled_run};
use archaeo_lab::{Session, SessionOptions, Silent};
use archaeo_server::{Access, Desk, Table, Token, router};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

pub const TOKEN: &str = "a-token-of-the-tests";
pub const HOST: &str = "127.0.0.1:7337";

pub fn session() -> Session {
    Session::new(
        SessionOptions { command: "archaeo lab".into(), ..SessionOptions::default() },
        Arc::new(Silent),
    )
    .unwrap()
}

pub fn table() -> Table {
    let run = Some(bundled_run().unwrap());
    let live = session().live(&LiveOptions { run, ..LiveOptions::default() }).unwrap();
    Table { live, command: "archaeo lab".into() }
}

pub fn lab() -> Router {
    let hosts = Some(vec![HOST.to_owned(), "localhost:7337".into()]);
    let access = Access { token: Token::given(TOKEN).unwrap(), hosts, port: 7337 };
    router(table(), access, Desk::new(1).unwrap())
}

pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    /// The text and the 32-bit arrays of a safetensors file.
    pub fn arrays(&self) -> (Value, Vec<(String, Vec<f32>)>) {
        let length = u64::from_le_bytes(self.body[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&self.body[8..8 + length]).unwrap();
        let about = serde_json::from_str(header["__metadata__"]["json"].as_str().unwrap()).unwrap();
        let data = &self.body[8 + length..];
        let arrays =
            header.as_object().unwrap().iter().filter(|(_, of)| of["dtype"] == "F32").map(|(name, of)| {
                let at = |i: usize| of["data_offsets"][i].as_u64().unwrap() as usize;
                let values =
                    data[at(0)..at(1)].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
                (name.clone(), values.collect())
            });
        (about, arrays.collect())
    }
}

pub async fn send(lab: &Router, request: Request<Body>) -> Answered {
    let response = lab.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answered { status: parts.status, headers: parts.headers, body }
}

/// A request as the page makes it.
pub fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", HOST)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("x-archaeo", "1")
        .body(body.into())
        .unwrap()
}

pub async fn get(lab: &Router, path: &str) -> Answered {
    send(lab, request("GET", path, Body::empty())).await
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
