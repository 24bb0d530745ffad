//! Ctrl-C, and a request to terminate: the program ends at once with one sentence on what is kept.
//!
//! Work that asks [`asked`] every now and then is given [`PATIENCE`] to end by itself; everything else ends where it is, which
//! loses nothing: files are written whole or not at all, and what is done of a training or an investigation is on disk.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::talk;

/// How long work that asks may take to end in order.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a shell adds to a signal's number.
const BY_SIGNAL: u8 = 128;

/// Ctrl-C.
const INTERRUPT: u8 = 2;

/// The signal that came first; 0 for none.
static SIGNAL: AtomicU8 = AtomicU8::new(0);

/// When [`asked`] was last called, in milliseconds from [`START`] on; 0 for never.
static LAST_ASKED: AtomicU64 = AtomicU64::new(0);
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Whether it was said what is kept.
static SAID: AtomicBool = AtomicBool::new(false);

/// What is kept when the program ends now, and how to go on.
static KEPT: Mutex<Option<String>> = Mutex::new(None);

/// Listens for Ctrl-C and for a request to terminate; to be called before any other thread begins.
///
/// # Errors
/// When the system refuses.
#[cfg(unix)]
pub fn listen() -> Result<()> {
    use nix::sys::signal::{SigSet, Signal};
    LazyLock::force(&START);
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // Every thread that begins later takes this over, so that the signals wait for the thread that waits for them.
    signals.thread_block()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while let Ok(signal) = signals.wait() {
            came(u8::try_from(signal as i32).unwrap_or(INTERRUPT));
        }
    })?;
    Ok(())
}

/// Listens for Ctrl-C.
///
/// # Errors
/// When no handler can be set.
#[cfg(not(unix))]
pub fn listen() -> Result<()> {
    LazyLock::force(&START);
    Ok(ctrlc::set_handler(|| came(INTERRUPT))?)
}

fn now() -> u64 {
    // From 1 on, because 0 is never.
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

fn came(signal: u8) {
    let first = SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    let last = LAST_ASKED.load(Ordering::SeqCst);
    let asks = last > 0 && u128::from(now().saturating_sub(last)) < PATIENCE.as_millis();
    match first && asks {
        // The next signal need not wait for this.
        true => drop(std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            end_at_once();
        })),
        false => end_at_once(),
    }
}

fn end_at_once() {
    // The reader of stderr may be gone.
    let _ = std::thread::Builder::new().spawn(|| {
        std::thread::sleep(PATIENCE);
        std::process::exit(status().into());
    });
    say();
    std::process::exit(status().into());
}

fn status() -> u8 {
    BY_SIGNAL + SIGNAL.load(Ordering::SeqCst)
}

/// Whether the user asked to stop. Work that calls this often is given a moment to stop by itself.
pub fn asked() -> bool {
    LAST_ASKED.store(now(), Ordering::SeqCst);
    SIGNAL.load(Ordering::SeqCst) != 0
}

/// From now on, this is kept when the program is interrupted: the rest of a sentence that also says how to go on.
pub fn keeps(what: impl Into<String>) {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.into());
}

/// The exit status of a program whose work stopped because it was asked to; `None` where nobody asked.
pub fn ended() -> Option<u8> {
    (SIGNAL.load(Ordering::SeqCst) != 0).then(|| {
        say();
        status()
    })
}

/// From now on, an interruption is said by another process, or has been said.
#[cfg(feature = "mpi")]
pub fn leave_unsaid() {
    SAID.store(true, Ordering::SeqCst);
}

fn say() {
    if SAID.swap(true, Ordering::SeqCst) {
        return;
    }
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.as_deref().unwrap_or("nothing was written; run the same command again");
    // After the ^C that a terminal shows.
    let line = if io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
    talk::last_words(line, &anyhow::anyhow!("interrupted; {kept}"));
}
