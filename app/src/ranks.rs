//! The ranks of a training: this process alone, or all that a launcher of MPI has started.

use anyhow::Result;
use archaeo_lab::Session;
use archaeo_training::ranks::{Alone, Ranks};

/// What launchers tell each process: the number of processes is the value of one of these variables (Open MPI, MPICH and its relatives,
/// MVAPICH).
const COUNTS: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"];

/// Number of processes that were started together.
fn started_together() -> usize {
    COUNTS.iter().find_map(|name| std::env::var(name).ok()?.parse().ok()).unwrap_or(1)
}

/// Does `work` on all ranks, with a session of each; `None` on all but the first, of which nothing is seen or heard. An error of any rank
/// ends all of them.
///
/// # Errors
/// That of `work`; a program that MPI has started and that cannot use it.
pub fn run<T>(session: &Session, work: impl FnOnce(&Session, &dyn Ranks) -> Result<T>) -> Result<Option<T>> {
    match started_together() {
        0 | 1 => work(session, &Alone).map(Some),
        ranks => together(ranks, session, work),
    }
}

#[cfg(feature = "mpi")]
use several::together;

#[cfg(not(feature = "mpi"))]
fn together<T>(
    ranks: usize,
    _: &Session,
    _: impl FnOnce(&Session, &dyn Ranks) -> Result<T>,
) -> Result<Option<T>> {
    anyhow::bail!(
        "MPI started {ranks} ranks, and this program was built without the feature `mpi` that lets them train together; build it with \
         `cargo build --release -p archaeo --features mpi`, or start it once"
    )
}

#[cfg(feature = "mpi")]
mod several {
    use std::sync::Arc;
    use std::time::Duration;

    use archaeo_lab::Listener;
    use archaeo_training::Observer;
    use archaeo_training::ranks::MpiRanks;

    use super::{Ranks, Result, Session};
    use crate::{interrupt, talk};

    /// How long each rank lets those before it say their sentence, which is mostly the same, and end all.
    const TURN: Duration = Duration::from_millis(80);
    const LAST_TURN: u32 = 8;

    pub(super) fn together<T>(
        _: usize,
        session: &Session,
        work: impl FnOnce(&Session, &dyn Ranks) -> Result<T>,
    ) -> Result<Option<T>> {
        let ranks = MpiRanks::join(interrupt::asked)?;
        let turn = u32::try_from(ranks.rank()).unwrap_or(LAST_TURN).min(LAST_TURN);
        let done = match turn {
            0 => work(session, &ranks),
            _ => {
                interrupt::leave_unsaid();
                work(&session.heard_by(Arc::new(Unheard)), &ranks)
            }
        };
        let error = match done {
            Ok(done) => return Ok((turn == 0).then_some(done)),
            Err(error) => error,
        };
        interrupt::leave_unsaid();
        std::thread::sleep(TURN * turn);
        while ranks.another_failed() {
            // It has said why, and ends this rank, too.
            std::thread::park();
        }
        let who = if turn == 0 { String::new() } else { format!("rank {}: ", ranks.rank()) };
        talk::error(&anyhow::anyhow!("{who}{error:#}"));
        ranks.abort()
    }

    /// The listener of a rank that nobody hears.
    struct Unheard;

    impl Listener for Unheard {
        fn training(&self, _: &str) -> Box<dyn Observer + '_> {
            Box::new(Self)
        }

        fn interrupted(&self) -> bool {
            interrupt::asked()
        }
    }

    impl Observer for Unheard {
        fn should_stop(&self) -> bool {
            interrupt::asked()
        }
    }
}
