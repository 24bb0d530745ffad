//! Attacks that run, and what they have shown so far.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use archaeo_plot::Image;
use tokio::sync::watch;

use crate::access::Visitor;
use crate::answers::Refusal;
use crate::limits::{ATTACK_TIME, ATTACKS, ATTACKS_EACH, ATTACKS_KEPT, STEP_BYTES, UNHEARD_TIME};

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: &'static str,
    /// JSON.
    pub data: String,
}

/// An attack on its way.
pub struct Job {
    pub id: String,
    visitor: Visitor,
    events: Mutex<Vec<Event>>,
    pictures: Mutex<Pictures>,
    /// How many events there are.
    told: watch::Sender<usize>,
    ended: AtomicBool,
    stopped: AtomicBool,
    began: Instant,
    listeners: AtomicUsize,
    /// When the last listener went.
    unheard: Mutex<Option<Instant>>,
}

/// Pictures of steps, those of some of them where all would be too many.
#[derive(Default)]
struct Pictures {
    of_step: Vec<Option<Arc<Image>>>,
    bytes: usize,
    /// Steps of which one is kept.
    every: usize,
}

impl Job {
    fn new(id: String, visitor: Visitor) -> Self {
        Self {
            id,
            visitor,
            events: Mutex::default(),
            pictures: Mutex::new(Pictures { every: 1, ..Pictures::default() }),
            told: watch::channel(0).0,
            ended: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            began: Instant::now(),
            listeners: AtomicUsize::new(0),
            unheard: Mutex::new(Some(Instant::now())),
        }
    }

    /// Says what happened to all who listen.
    pub fn tell(&self, kind: &'static str, data: String) {
        let mut events = lock(&self.events);
        events.push(Event { kind, data });
        self.told.send_replace(events.len());
    }

    /// Ends the story.
    pub fn end(&self, kind: &'static str, data: String) {
        self.ended.store(true, Ordering::SeqCst);
        self.tell(kind, data);
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Tells the attack to stop before its next step.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether to go on: nobody stopped it, somebody listens, and it has not taken too long.
    pub fn should_stop(&self) -> bool {
        let unheard = lock(&self.unheard).is_some_and(|since| since.elapsed() > UNHEARD_TIME);
        self.stopped.load(Ordering::SeqCst) || unheard || self.began.elapsed() > ATTACK_TIME
    }

    /// What happened after the first `known` events, once something has.
    pub fn after(&self, known: usize) -> Vec<Event> {
        lock(&self.events).get(known..).unwrap_or_default().to_vec()
    }

    pub fn follow(&self) -> watch::Receiver<usize> {
        self.told.subscribe()
    }

    /// Keeps the picture of the next step.
    pub fn keep(&self, picture: Image) {
        let mut pictures = lock(&self.pictures);
        let step = pictures.of_step.len();
        let kept = step.is_multiple_of(pictures.every);
        let bytes = picture.pixels().len();
        pictures.of_step.push(kept.then(|| Arc::new(picture)));
        pictures.bytes += if kept { bytes } else { 0 };
        while pictures.bytes > STEP_BYTES {
            pictures.every *= 2;
            let Pictures { of_step, every, .. } = &mut *pictures;
            let thinned = of_step.iter_mut().enumerate().filter(|(step, _)| !step.is_multiple_of(*every));
            let dropped: usize =
                thinned.filter_map(|(_, picture)| picture.take()).map(|picture| picture.pixels().len()).sum();
            if dropped == 0 {
                break;
            }
            pictures.bytes -= dropped;
        }
    }

    /// The picture of a step, or of the last one before it that is kept.
    pub fn picture(&self, step: usize) -> Option<Arc<Image>> {
        let pictures = lock(&self.pictures);
        let until = pictures.of_step.get(..=step)?;
        until.iter().rev().flatten().next().cloned()
    }
}

/// Somebody who listens to an attack, until it is dropped: the only sign of a page that was closed.
pub struct Listener(pub Arc<Job>);

impl Listener {
    pub fn new(job: Arc<Job>) -> Self {
        job.listeners.fetch_add(1, Ordering::SeqCst);
        *lock(&job.unheard) = None;
        Self(job)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.0.listeners.fetch_sub(1, Ordering::SeqCst) == 1 {
            *lock(&self.0.unheard) = Some(Instant::now());
        }
    }
}

/// The attacks that run, and the last ones that did.
#[derive(Default)]
pub struct Jobs {
    all: Mutex<VecDeque<Arc<Job>>>,
    next: AtomicUsize,
}

impl Jobs {
    /// A new attack. That of the same visitor which still runs is told to stop.
    ///
    /// # Errors
    /// Too many that run.
    pub fn begin(&self, visitor: &Visitor) -> Result<Arc<Job>, Refusal> {
        let mut all = lock(&self.all);
        let running = || all.iter().filter(|job| !job.has_ended());
        let own: Vec<_> = running().filter(|job| job.visitor == *visitor).cloned().collect();
        let others = running().count() - own.len();
        if others >= ATTACKS {
            return Err(Refusal::busy("Too many attacks run just now; begin yours in a moment."));
        }
        own.iter().rev().skip(ATTACKS_EACH - 1).for_each(|job| job.stop());
        let number = self.next.fetch_add(1, Ordering::SeqCst) + 1;
        let job = Arc::new(Job::new(format!("j{number}"), visitor.clone()));
        all.push_back(job.clone());
        while all.len() > ATTACKS_KEPT {
            if let Some(old) = all.pop_front() {
                old.stop();
            }
        }
        Ok(job)
    }

    /// An attack of this visitor.
    pub fn of(&self, visitor: &Visitor, id: &str) -> Option<Arc<Job>> {
        lock(&self.all).iter().find(|job| job.id == id && job.visitor == *visitor).cloned()
    }
}

/// How often a stream that has nothing to say shows that it is alive.
pub const ALIVE: Duration = Duration::from_secs(5);

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor() -> Visitor {
        Visitor("a".into())
    }

    #[test]
    fn pictures_of_long_attacks_are_thinned_and_the_last_before_a_step_is_shown() {
        let job = Job::new("j1".into(), visitor());
        // A quarter of what is kept each.
        let side = (STEP_BYTES / 12) / 1024;
        for step in 0..40 {
            job.keep(Image::filled(1024, side, [step as u8; 3]));
        }
        assert!(lock(&job.pictures).bytes <= STEP_BYTES);
        let of = |step: usize| usize::from(job.picture(step).unwrap().pixel(0, 0)[0]);
        assert_eq!(of(0), 0);
        for step in 0..40 {
            assert!(of(step) <= step && step - of(step) < lock(&job.pictures).every);
        }
        assert!(job.picture(40).is_none());
    }

    #[test]
    fn a_visitor_has_one_attack_and_nobody_elses() {
        let jobs = Jobs::default();
        let first = jobs.begin(&visitor()).unwrap();
        let second = jobs.begin(&visitor()).unwrap();
        assert!(first.should_stop() && !second.should_stop());
        assert!(jobs.of(&visitor(), &second.id).is_some());
        assert!(jobs.of(&Visitor("b".into()), &second.id).is_none());
        for other in 0..ATTACKS - 2 {
            jobs.begin(&Visitor(other.to_string())).unwrap();
        }
        assert!(jobs.begin(&Visitor("late".into())).is_err());
        first.end("stopped", "{}".into());
        second.end("done", "{}".into());
        assert!(jobs.begin(&Visitor("late".into())).is_ok());
    }
}
