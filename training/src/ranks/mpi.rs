//! Ranks that `mpirun` or another launcher of MPI starts, on one machine or many.

use std::fmt;
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::environment::Universe;
use mpi::point_to_point::{Destination, Source, send_receive_into_with_tags};
use mpi::topology::{Communicator, SimpleCommunicator};
use thiserror::Error;

use super::{RankError, Ranks};

/// Tags of the kinds of messages.
const READY: i32 = 1;
const VALUES: i32 = 2;
const FAILED: i32 = 3;

/// How long a rank may be silent before it counts as lost. The features of a frozen backbone, for which the others wait, may take hours.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// How long the others may still take to answer when this program was asked to end. Open MPI kills a rank a second after it has asked.
const LAST_PATIENCE: Duration = Duration::from_millis(300);

/// An answer that takes longer than this is waited for without keeping a processor busy.
const BUSY: Duration = Duration::from_micros(200);
const PAUSE: Duration = Duration::from_micros(50);

/// Why there are no ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MpiError {
    /// MPI was initialised before, by something else in this process.
    #[error("MPI is at work in this process already; a process is one rank of one training")]
    Initialised,
    /// MPI cannot be called from a program with threads.
    #[error(
        "this MPI was built without support for programs with threads; use one that offers MPI_THREAD_FUNNELED"
    )]
    Threads,
}

/// All processes that a launcher of MPI started, as this one sees them. MPI ends with the value.
pub struct MpiRanks {
    rank: usize,
    size: usize,
    /// Whether the program was asked to end.
    asked: Box<dyn Fn() -> bool + Send + Sync>,
    _universe: Universe,
}

impl fmt::Debug for MpiRanks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MpiRanks({} of {})", self.rank, self.size)
    }
}

impl MpiRanks {
    /// Joins the other processes; `asked` says whether this one was asked to end, and is called again and again while it waits. The thread
    /// that calls it is the one that trains.
    ///
    /// # Errors
    /// See [`MpiError`].
    pub fn join(asked: impl Fn() -> bool + Send + Sync + 'static) -> Result<Self, MpiError> {
        let (universe, threading) =
            mpi::initialize_with_threading(Threading::Funneled).ok_or(MpiError::Initialised)?;
        if threading < Threading::Funneled {
            return Err(MpiError::Threads);
        }
        let world = universe.world();
        let number = |number: i32| usize::try_from(number).expect("ranks are counted from 0");
        let (rank, size) = (number(world.rank()), number(world.size()));
        Ok(Self { rank, size, asked: Box::new(asked), _universe: universe })
    }

    /// Whether another rank has failed, said why, and is about to end all.
    pub fn another_failed(&self) -> bool {
        SimpleCommunicator::world().any_process().immediate_probe_with_tag(FAILED).is_some()
    }

    /// Ends this process and all others, for a training that cannot go on and has said why: the others get
    /// [`RankError::Elsewhere`] where they wait.
    pub fn abort(&self) -> ! {
        let world = SimpleCommunicator::world();
        for other in (0..self.size).filter(|other| *other != self.rank) {
            world.process_at_rank(number_of(other)).send_with_tag(&[0u8][..], FAILED);
        }
        world.abort(1)
    }

    /// Waits until `other` is about to exchange.
    fn wait(&self, other: usize) -> Result<(), RankError> {
        let world = SimpleCommunicator::world();
        let process = world.process_at_rank(number_of(other));
        // Few bytes are sent at once, whether the other rank is there or not.
        process.send_with_tag(&[0u8][..], READY);
        let began = Instant::now();
        let mut asked: Option<Instant> = None;
        while process.immediate_probe_with_tag(READY).is_none() {
            if began.elapsed() < BUSY {
                std::thread::yield_now();
                continue;
            }
            std::thread::sleep(PAUSE);
            if self.another_failed() {
                return Err(RankError::Elsewhere);
            }
            if asked.is_none() && (self.asked)() {
                asked = Some(Instant::now());
            }
            if asked.is_some_and(|since| since.elapsed() > LAST_PATIENCE) {
                return Err(RankError::Ended(other));
            }
            if began.elapsed() > PATIENCE {
                return Err(RankError::Lost(other));
            }
        }
        process.receive_into_with_tag(&mut [0u8][..], READY);
        Ok(())
    }
}

impl Ranks for MpiRanks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&self, other: usize, sent: &[f32], received: &mut [f32]) -> Result<(), RankError> {
        // Once both are here nothing is waited for, so that a rank that is lost is noticed before.
        self.wait(other)?;
        let world = SimpleCommunicator::world();
        let process = world.process_at_rank(number_of(other));
        send_receive_into_with_tags(sent, &process, VALUES, received, &process, VALUES);
        Ok(())
    }
}

fn number_of(rank: usize) -> i32 {
    i32::try_from(rank).expect("MPI counts ranks in 32 bits")
}
