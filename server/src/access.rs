//! Who may ask: someone who was shown the token, from a page of this server, under a name that this server has.
//!
//! A page of somebody else's that is open in the same browser can make it send requests here. It cannot read the token, its `Origin` is
//! another, and a name of its own that leads to this machine (DNS rebinding) is not among the names that are accepted.

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, LOCATION, ORIGIN, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::answers::Refusal;
use crate::state::Shared;

/// Everything from here, pictures also from memory.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self'; script-src 'self'; \
     connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// A header that no form and no plain link can send.
const ASKED_BY_PAGE: &str = "x-archaeo";

/// A word that only those know who were shown the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// One that nobody can guess.
    ///
    /// # Errors
    /// A system that has no random numbers.
    pub fn random() -> std::io::Result<Self> {
        Ok(Self(random_word()?))
    }

    /// A given one, of at least 16 letters, digits, `-`, `_`, `.` or `~`.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn given(word: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        match word.len() {
            0..16 => Err("a token has at least 16 characters, so that it cannot be guessed".into()),
            _ if !word.chars().all(plain) => Err("a token has letters, digits, -, _, . and ~ alone".into()),
            _ => Ok(Self(word.into())),
        }
    }

    /// The word itself.
    pub fn word(&self) -> &str {
        &self.0
    }

    /// Compared in a time that does not tell how much of it was right.
    fn is(&self, word: &str) -> bool {
        let (own, word) = (self.0.as_bytes(), word.as_bytes());
        own.len() == word.len() && own.iter().zip(word).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

fn random_word() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(hex::encode(bytes))
}

/// Who may ask.
#[derive(Clone, Debug)]
pub struct Access {
    /// What they have to know.
    pub token: Token,
    /// Under which names this server may be asked, with the port; `None` where it listens to other machines, which may know it by any.
    pub hosts: Option<Vec<String>>,
    /// Port, by which cookies of several labs on one machine are told apart.
    pub port: u16,
}

impl Access {
    fn cookie(&self, name: &str) -> String {
        format!("archaeo_{name}_{}", self.port)
    }

    fn knows_token(&self, headers: &HeaderMap) -> bool {
        let bearer =
            headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let cookie = cookie(headers, &self.cookie("token"));
        bearer.into_iter().chain(cookie).any(|word| self.token.is(word))
    }
}

/// Who asks, so that everybody gets their turn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Visitor(pub String);

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(of, _)| *of == name)
        .map(|(_, value)| value)
}

/// Lets in who may ask, and says in every answer what the page may do.
pub async fn guard(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let mut response = match admitted(&shared.access, &mut request) {
        Ok(()) => next.run(request).await,
        Err(response) => *response,
    };
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &str); 6] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(self), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn admitted(access: &Access, request: &mut Request) -> Result<(), Box<Response>> {
    let refuse =
        |status: StatusCode, sentence: &str| Box::new(Refusal::new(status, sentence).into_response());
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if let Some(hosts) = &access.hosts
        && !hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    {
        return Err(refuse(StatusCode::MISDIRECTED_REQUEST, "This server is not asked under that name."));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let foreign = headers.get(ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        own.is_none_or(|own| !own.eq_ignore_ascii_case(host))
    });
    if foreign || changes && !headers.contains_key(ASKED_BY_PAGE) {
        return Err(refuse(StatusCode::FORBIDDEN, "This was not asked by the lab's own page."));
    }
    let shown =
        request.uri().query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("token="));
    if let Some(word) = shown.filter(|word| request.uri().path() == "/" && access.token.is(word)) {
        return Err(Box::new(entered(access, word)));
    }
    if !access.knows_token(headers) {
        let sentence = "Open the lab with the address that `archaeo lab` printed, which ends in a token.";
        return Err(refuse(StatusCode::UNAUTHORIZED, sentence));
    }
    let visitor = cookie(headers, &access.cookie("visitor")).unwrap_or("anybody");
    let visitor = visitor.chars().take(64).collect();
    request.extensions_mut().insert(Visitor(visitor));
    Ok(())
}

/// The answer to someone who comes with the token: it is kept in a cookie that scripts cannot read, and leaves the address.
fn entered(access: &Access, word: &str) -> Response {
    let visitor = random_word().unwrap_or_else(|_| "anybody".into());
    let set = |name: &str, value: &str| {
        format!("{}={value}; Path=/; HttpOnly; SameSite=Strict", access.cookie(name))
    };
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response();
    for cookie in [set("token", word), set("visitor", &visitor)] {
        let value = HeaderValue::try_from(cookie).expect("tokens are plain letters");
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}
