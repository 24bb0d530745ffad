//! Where questions wait: one queue per visitor, taken in turns, answered on threads that do nothing else.
//!
//! A question whose visitor has gone is not computed. One visitor who asks much does not keep another waiting for more than the
//! question that is being computed.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::access::Visitor;
use crate::answers::Refusal;
use crate::limits::{QUESTIONS, QUESTIONS_EACH};

type Work = Box<dyn FnOnce() + Send>;

/// The queues, and the threads that empty them until the last handle is dropped.
#[derive(Clone)]
pub struct Desk(Arc<Owner>);

struct Owner(Arc<Queues>);

#[derive(Default)]
struct Queues {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// Visitors with a question that waits, in the order of their turns.
    turns: VecDeque<Visitor>,
    waiting: HashMap<Visitor, VecDeque<Work>>,
    count: usize,
    closed: bool,
}

impl Queues {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next question; `None` once there will be no more.
    fn next(&self) -> Option<Work> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(visitor) = state.turns.pop_front() {
                let queue = state.waiting.get_mut(&visitor).expect("who has a turn has a queue");
                let work = queue.pop_front();
                if queue.is_empty() {
                    state.waiting.remove(&visitor);
                } else {
                    state.turns.push_back(visitor);
                }
                state.count -= 1;
                return work;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.wake.notify_all();
    }
}

impl Desk {
    /// A desk with so many threads.
    ///
    /// # Errors
    /// A system that gives no thread.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let queues = Arc::new(Queues::default());
        for number in 0..threads {
            let queues = queues.clone();
            thread::Builder::new().name(format!("desk {number}")).spawn(move || {
                while let Some(work) = queues.next() {
                    work();
                }
            })?;
        }
        Ok(Self(Arc::new(Owner(queues))))
    }

    /// Asks a question, and waits for the answer without keeping a thread. A question that is dropped before its turn is not computed.
    ///
    /// # Errors
    /// Too many questions that wait, or one that failed in a way that nobody foresaw.
    pub async fn ask<T: Send + 'static>(
        &self,
        visitor: &Visitor,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let work = move || {
            if answer.is_closed() {
                return;
            }
            // The thread outlives a question that panics; its visitor is told.
            if let Ok(found) = catch_unwind(AssertUnwindSafe(question)) {
                let _ = answer.send(found);
            }
        };
        self.put(visitor, Box::new(work))?;
        let failed = "The program has made a mistake in answering this; the terminal says more.";
        answered.await.map_err(|_| Refusal::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, failed))
    }

    fn put(&self, visitor: &Visitor, work: Work) -> Result<(), Refusal> {
        let queues = &self.0.0;
        let mut state = queues.state();
        let own = state.waiting.get(visitor).map_or(0, VecDeque::len);
        if own >= QUESTIONS_EACH || state.count >= QUESTIONS {
            return Err(Refusal::busy("Too many questions wait; ask again in a moment."));
        }
        if own == 0 {
            state.turns.push_back(visitor.clone());
        }
        state.waiting.entry(visitor.clone()).or_default().push_back(work);
        state.count += 1;
        queues.wake.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn visitor(name: &str) -> Visitor {
        Visitor(name.into())
    }

    #[test]
    fn visitors_take_turns_and_questions_of_one_stay_in_order() {
        let desk = Desk::new(1).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let order = Arc::new(Mutex::new(Vec::new()));
        desk.put(&visitor("a"), Box::new(move || wait.recv().unwrap())).unwrap();
        // Until the thread has taken the first.
        while desk.0.0.state().count > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        for (who, what) in [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("c", 1)] {
            let order = order.clone();
            desk.put(&visitor(who), Box::new(move || order.lock().unwrap().push((who, what)))).unwrap();
        }
        go.send(()).unwrap();
        block_on(desk.ask(&visitor("c"), || ())).unwrap();
        block_on(desk.ask(&visitor("a"), || ())).unwrap();
        let expected = [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2)];
        assert_eq!(order.lock().unwrap()[..5], expected);
    }

    #[test]
    fn who_asks_too_much_is_refused_and_others_are_not() {
        let desk = Desk::new(0).unwrap();
        for _ in 0..QUESTIONS_EACH {
            desk.put(&visitor("a"), Box::new(|| ())).unwrap();
        }
        assert!(desk.put(&visitor("a"), Box::new(|| ())).is_err());
        assert!(desk.put(&visitor("b"), Box::new(|| ())).is_ok());
    }

    #[test]
    fn a_question_that_panics_is_answered_and_the_next_one_too() {
        let desk = Desk::new(1).unwrap();
        let failing = || -> () { panic!("a mistake") };
        let refused = block_on(desk.ask(&visitor("a"), failing)).unwrap_err();
        assert!(format!("{refused:?}").contains("made a mistake"));
        assert_eq!(block_on(desk.ask(&visitor("a"), || 7)).unwrap(), 7);
    }

    #[test]
    fn a_question_whose_visitor_has_gone_is_not_computed() {
        let desk = Desk::new(1).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        desk.put(&visitor("a"), Box::new(move || wait.recv().unwrap())).unwrap();
        let (told, tell) = mpsc::channel();
        block_on(async {
            let (who, question) = (visitor("a"), move || told.send(()).unwrap());
            let asked = desk.ask(&who, question);
            let _ = tokio::time::timeout(Duration::from_millis(20), asked).await;
        });
        go.send(()).unwrap();
        block_on(desk.ask(&visitor("a"), || ())).unwrap();
        assert!(tell.recv().is_err());
    }
}
