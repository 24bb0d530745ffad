//! Requests to the hub. The token goes to the endpoint and to nobody else; redirects are followed by hand, so that it is seen
//! where each leads.

use std::time::Duration;

use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use super::address::Address;
use super::failure::Failure;
use super::settings::HubSettings;

/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// The most bytes of an answer that is read into memory; a list of a thousand files has about 100,000.
const LARGEST_ANSWER: u64 = 16 << 20;

/// How long all of such an answer may take, whatever arrives in between.
const LONGEST_ANSWER: Duration = Duration::from_secs(120);

pub(super) struct Client {
    agent: Agent,
    endpoint: Address,
    /// The value of an `Authorization` header.
    authorization: Option<String>,
}

/// What the endpoint itself says of a file, regardless of which host then sends it.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub commit: Option<String>,
    pub checksum: Option<String>,
    pub size: Option<u64>,
}

/// What a request was answered with.
pub(super) struct Answer {
    pub response: Response<Body>,
    pub told: Told,
}

impl Client {
    pub fn new(settings: &HubSettings) -> Result<Self, Failure> {
        let endpoint = Address::parse(&settings.endpoint).map_err(Failure::Nonsense)?;
        let authorization = settings.token.as_ref().map(|token| format!("Bearer {token}"));
        if authorization
            .as_ref()
            .is_some_and(|value| !value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '))
        {
            return Err(Failure::Nonsense("the token contains invalid characters; correct HF_TOKEN".into()));
        }
        let agent = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_resolve(Some(settings.answer_time))
            .timeout_connect(Some(settings.answer_time))
            .timeout_send_request(Some(settings.answer_time))
            .timeout_recv_response(Some(settings.answer_time))
            .timeout_per_read(Some(settings.silence))
            .user_agent(concat!("archaeo/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { agent, endpoint, authorization })
    }

    /// Asks for an address, or for a part of what is there, wherever it leads.
    pub fn get(&self, address: &str, range: Option<&str>) -> Result<Answer, Failure> {
        let mut address = Address::parse(address).map_err(Failure::Nonsense)?;
        let mut told = Told::default();
        for _ in 0..=REDIRECTS {
            let of_endpoint = address.has_origin_of(&self.endpoint);
            // What is stored is hashed as it is, so it must not be compressed on its way.
            let mut request = self.agent.get(address.text()).header("accept-encoding", "identity");
            if let Some(range) = range {
                request = request.header("range", range);
            }
            if let Some(authorization) = self.authorization.as_ref().filter(|_| of_endpoint) {
                request = request.header("authorization", authorization);
            }
            let response = request.call().map_err(Failure::of_request)?;
            if of_endpoint {
                told.hear(response.headers());
            }
            match response.status().as_u16() {
                200 | 206 | 416 => return Ok(Answer { response, told }),
                301 | 302 | 303 | 307 | 308 => {}
                404 => return Err(Failure::NotFound),
                401 | 403 => return Err(Failure::Forbidden),
                other => return Err(Failure::Unreachable(format!("http status {other}"))),
            }
            let nowhere = || Failure::Nonsense("it redirects to nowhere".into());
            let location = text(response.headers(), "location").ok_or_else(nowhere)?;
            address = address.join(&location).map_err(Failure::Nonsense)?;
            if self.endpoint.is_encrypted() && !address.is_encrypted() {
                return Err(Failure::Nonsense("it redirects to an address that is not encrypted".into()));
            }
        }
        Err(Failure::Nonsense(format!("it redirects more than {REDIRECTS} times")))
    }

    /// Asks for an address and reads the answer.
    pub fn get_text(&self, address: &str) -> Result<String, Failure> {
        let mut answer = self.get(address, None)?;
        let body = answer.response.body_mut();
        let read = body.with_config().limit(LARGEST_ANSWER).reader();
        let mut bounded = Bounded { read, started: std::time::Instant::now() };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut bounded, &mut bytes)
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| Failure::Nonsense("its response is not text".into()))
    }
}

/// A reader that ends with an error after [`LONGEST_ANSWER`].
struct Bounded<R> {
    read: R,
    started: std::time::Instant,
}

impl<R: std::io::Read> std::io::Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.started.elapsed() > LONGEST_ANSWER {
            return Err(std::io::Error::other("its answer has no end"));
        }
        self.read.read(buffer)
    }
}

impl Told {
    /// The checksum of a large file is that of what the endpoint links to; of a small one, its own.
    fn hear(&mut self, headers: &HeaderMap) {
        let checksum = text(headers, "x-linked-etag").or_else(|| text(headers, "etag"));
        let unquoted = |etag: String| etag.trim_start_matches("W/").trim_matches('"').to_owned();
        self.commit = text(headers, "x-repo-commit").or(self.commit.take());
        self.checksum = checksum.map(unquoted).or(self.checksum.take());
        self.size = text(headers, "x-linked-size").and_then(|size| size.parse().ok()).or(self.size);
    }
}

/// A header, if it is there and is text.
pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}

/// First byte, and length of the whole, of `content-range: bytes FIRST-LAST/LENGTH`.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = text(headers, "content-range")?;
    let (span, length) = range.strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, _) = span.split_once('-')?;
    Some((first.trim().parse().ok()?, length.trim().parse().ok()))
}
