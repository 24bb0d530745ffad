//! Ranks that are threads of one process.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{RankError, Ranks};

/// How long another thread may be silent.
const PATIENCE: Duration = Duration::from_secs(600);

/// A rank that is a thread of this process. One rank alone is faster, because all of them compute on the same processors: these ranks are
/// for programs that try what several do.
pub struct Threads {
    rank: usize,
    to: Vec<Sender<Vec<f32>>>,
    from: Vec<Mutex<Receiver<Vec<f32>>>>,
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Threads({} of {})", self.rank, self.to.len())
    }
}

impl Threads {
    /// Runs `work` on so many ranks and gives what it gives on each. A rank that is done no longer answers.
    ///
    /// # Panics
    /// Where `work` does.
    pub fn run<R: Send>(ranks: usize, work: impl Fn(&dyn Ranks) -> R + Sync) -> Vec<R> {
        let work = &work;
        std::thread::scope(|scope| {
            let running: Vec<_> =
                Self::all(ranks).into_iter().map(|rank| scope.spawn(move || work(&rank))).collect();
            running.into_iter().map(|rank| rank.join().expect("a rank panicked")).collect()
        })
    }

    fn all(ranks: usize) -> Vec<Self> {
        let mut all: Vec<Self> =
            (0..ranks).map(|rank| Self { rank, to: Vec::new(), from: Vec::new() }).collect();
        for sender in 0..ranks {
            for receiver in 0..ranks {
                let (to, from) = channel();
                all[sender].to.push(to);
                all[receiver].from.push(Mutex::new(from));
            }
        }
        all
    }
}

impl Ranks for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn exchange(&self, other: usize, sent: &[f32], received: &mut [f32]) -> Result<(), RankError> {
        let lost = || RankError::Lost(other);
        self.to[other].send(sent.to_vec()).map_err(|_| lost())?;
        let from = self.from[other].lock().unwrap_or_else(PoisonError::into_inner);
        let values = from.recv_timeout(PATIENCE).map_err(|_| lost())?;
        if values.len() != received.len() {
            return Err(RankError::OtherExchange(other));
        }
        received.copy_from_slice(&values);
        Ok(())
    }
}
