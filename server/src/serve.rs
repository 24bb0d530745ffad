//! The router behind a socket.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use archaeo_lab::LabError;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::access::{Access, Token};
use crate::desk::Desk;
use crate::limits::{CONNECTIONS, HEAD_BYTES, HEAD_TIME};
use crate::state::{Table, router};

/// Questions that are answered at once: one more than one, so that a slow one does not keep all others waiting. Each uses all threads
/// of the computation.
const DESK_THREADS: usize = 2;

/// Why the lab cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// An address that cannot be listened at.
    #[error("{address} cannot be listened at: {source}; choose another with --port or --listen")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// What the system refuses.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// What cannot be put on the table.
    #[error(transparent)]
    Lab(#[from] LabError),
}

/// Where the lab is served, and under which word.
pub struct Listening {
    /// The address; port 0 for any that is free.
    pub address: SocketAddr,
    /// What visitors have to know.
    pub token: Token,
    /// What it opens with, as the fragment of the page's address; empty for the first image.
    pub place: String,
}

/// Serves what `table` puts on the table, until the process ends. The address is taken first, then `table` is opened, and then `ready`
/// is told what to type into a browser.
///
/// # Errors
/// An address that is taken, or what `table` refuses.
pub fn serve(
    listening: Listening,
    table: impl FnOnce() -> Result<Table, LabError>,
    ready: impl FnOnce(&str),
) -> Result<(), ServeError> {
    let Listening { address, token, place } = listening;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let refused = |source| ServeError::Address { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr()?;
        let access = Access { token, hosts: names(address), port: address.port() };
        let place = if place.is_empty() { place } else { format!("#{place}") };
        let url = format!("http://{}/?token={}{place}", shown(address), access.token.word());
        let router = router(table()?, access, Desk::new(DESK_THREADS)?);
        ready(&url);
        accept(listener, router).await;
        Ok(())
    })
}

/// The names of a server that this machine alone can reach.
fn names(address: SocketAddr) -> Option<Vec<String>> {
    let port = address.port();
    let names = ["127.0.0.1", "localhost", "[::1]"];
    address.ip().is_loopback().then(|| names.iter().map(|name| format!("{name}:{port}")).collect())
}

/// An address as one types it on this machine.
fn shown(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        _ => address,
    }
}

/// Takes connections, so many at once; a head that is too long or too slow ends its connection.
async fn accept(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Of descriptors that are used up, some are free again soon.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES);
            // A visitor who hangs up is no error.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}
