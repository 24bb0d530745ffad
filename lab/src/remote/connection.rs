//! Lets `object_store` ask through `ureq`, the client of HTTP that the hub uses, so that there is one client and one TLS.
//!
//! A request blocks the thread that polls it: whoever fetches has a thread of its own to wait in.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use ureq::http::Request;
use ureq::{Agent, BodyReader};

/// Redirects of a web server that are followed. A bucket that redirects lies in another region, which `object_store` says.
const REDIRECTS: u32 = 10;

/// Bytes that are read at once.
const PIECE: usize = 1 << 17;

/// How long the service that gives keys to machines of a cloud may be silent: it is next to them, and elsewhere nothing answers.
const KEYS: Duration = Duration::from_secs(2);

/// Makes connections.
#[derive(Debug)]
pub(super) struct Connector {
    /// How long a connection and an answer may take, and how long a transfer may stand still.
    pub patience: Duration,
    /// Whether redirects are followed.
    pub redirects: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let may_be_plain =
            options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|value| value == "true");
        let agent = |patience: Duration, encrypted: bool| {
            Agent::config_builder()
                .https_only(encrypted)
                .max_redirects(if self.redirects { REDIRECTS } else { 0 })
                .http_status_as_error(false)
                .timeout_resolve(Some(patience))
                .timeout_connect(Some(patience))
                .timeout_send_request(Some(patience))
                .timeout_recv_response(Some(patience))
                .timeout_per_read(Some(patience))
                .user_agent(concat!("archaeo/", env!("CARGO_PKG_VERSION")))
                .build()
                .new_agent()
        };
        Ok(HttpClient::new(Client {
            agent: agent(self.patience, !may_be_plain),
            keys: agent(self.patience.min(KEYS), false),
        }))
    }
}

#[derive(Debug)]
struct Client {
    agent: Agent,
    /// For the services that give keys, which speak without encryption.
    keys: Agent,
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = request.into_parts();
        // What is stored is kept as it is, so it must not be compressed on its way.
        parts.headers.insert("accept-encoding", ureq::http::HeaderValue::from_static("identity"));
        let host = parts.uri.host().unwrap_or_default();
        let agent = match host.starts_with("169.254.") || host == "metadata.google.internal" {
            true => &self.keys,
            false => &self.agent,
        };
        let answer = match body.as_bytes() {
            Some(bytes) if !bytes.is_empty() => agent.run(Request::from_parts(parts, bytes.to_vec())),
            _ => agent.run(Request::from_parts(parts, ())),
        };
        let (parts, body) = answer.map_err(failed)?.into_parts();
        let body = Received(Mutex::new(body.into_reader()));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

/// The body of an answer, read when it is polled.
struct Received(Mutex<BodyReader<'static>>);

impl Body for Received {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let mut piece = vec![0; PIECE];
        let reader = self.0.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        Poll::Ready(match reader.read(&mut piece) {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some(Ok(Frame::data(piece.into())))
            }
            Err(error) => Some(Err(broken(error))),
        })
    }
}

fn failed(error: ureq::Error) -> HttpError {
    let kind = match &error {
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        ureq::Error::Io(error) => kind_of(error),
        _ => HttpErrorKind::Unknown,
    };
    match error {
        ureq::Error::Timeout(_) => HttpError::new(kind, io::Error::other("it did not answer in time")),
        ureq::Error::RequireHttpsOnly(_) => HttpError::new(
            kind,
            io::Error::other(
                "its address is not encrypted; set AWS_ALLOW_HTTP=true (for gs://, GOOGLE_ALLOW_HTTP=true) if that is meant",
            ),
        ),
        error => HttpError::new(kind, error),
    }
}

fn broken(error: io::Error) -> HttpError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    if matches!(inner, Some(ureq::Error::Timeout(_))) || error.kind() == io::ErrorKind::TimedOut {
        return HttpError::new(HttpErrorKind::Timeout, io::Error::other("nothing more arrived in time"));
    }
    HttpError::new(kind_of(&error), error)
}

fn kind_of(error: &io::Error) -> HttpErrorKind {
    match error.kind() {
        io::ErrorKind::TimedOut => HttpErrorKind::Timeout,
        io::ErrorKind::ConnectionRefused => HttpErrorKind::Connect,
        _ => HttpErrorKind::Interrupted,
    }
}
