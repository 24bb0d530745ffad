//! From a perturbation in real numbers to an image: the smallest enlargement that fools after rounding to 8 bits.

use super::super::Norm;
use super::{Answer, Search, Subject};

/// Bisections between the last enlargement that fails and the first that fools.
const BISECTIONS: usize = 8;

/// Doubles the enlargement until the rounded image fools, then bisects. What fools is not a rising function of the enlargement, so
/// that "smallest" is the smallest of those tried.
pub(super) struct Rounding<'s> {
    subject: Subject<'s>,
    change: Vec<f64>,
    length: f64,
    /// The largest enlargement that failed, and the smallest that fools.
    failed: f64,
    fooled: Option<f64>,
    enlargement: f64,
    left: usize,
    place: Vec<f32>,
    /// The best rounded image and its logits.
    pub found: Option<(Vec<f32>, Vec<f32>)>,
}

impl<'s> Rounding<'s> {
    /// The search of a place that fools before rounding. `None` if no enlargement is left to try, because the box ends first.
    pub fn begin(subject: Subject<'s>, values: &[f32]) -> Option<Self> {
        let change = subject.change(values);
        let length = subject.distance(values);
        let mut search = Self {
            subject,
            change,
            length,
            failed: 0.0,
            fooled: None,
            enlargement: 1.0,
            left: BISECTIONS,
            place: Vec::new(),
            found: None,
        };
        search.settle().then_some(search)
    }

    /// The change `enlargement` times as long, rounded within the ball of that length.
    fn rounded(&self, enlargement: f64) -> Vec<f32> {
        let change: Vec<f64> = self.change.iter().map(|change| change * enlargement).collect();
        let mut place = self.subject.place(&change);
        let ball = match self.subject.threat.norm() {
            // Of L0 the enlargement changes no count.
            Norm::L0 => self.length,
            _ => self.length * enlargement,
        };
        self.subject.threat.with_size(ball).round(&mut place, self.subject.clean);
        place
    }

    /// Moves on to the next enlargement whose rounded image differs from the clean image; whether there is one.
    fn settle(&mut self) -> bool {
        loop {
            self.place = self.rounded(self.enlargement);
            if self.place != self.subject.clean.values {
                return true;
            }
            if !self.fails() {
                return false;
            }
        }
    }

    /// Takes it that the present enlargement fails; whether there is another.
    fn fails(&mut self) -> bool {
        self.failed = self.enlargement;
        match self.fooled {
            Some(_) => self.bisect(),
            None => {
                self.enlargement *= 2.0;
                // Beyond the farthest corner all values stand at the ends of their range.
                let every_value_there = |e: f64| self.subject.place(&self.scaled(e));
                every_value_there(self.failed) != every_value_there(self.enlargement)
                    && self.enlargement < 1e5
            }
        }
    }

    fn scaled(&self, enlargement: f64) -> Vec<f64> {
        self.change.iter().map(|change| change * enlargement).collect()
    }

    fn bisect(&mut self) -> bool {
        let Some(fooled) = self.fooled else { return false };
        if self.left == 0 || fooled <= 1.0 {
            return false;
        }
        self.left -= 1;
        self.enlargement = (self.failed.max(1.0) + fooled) / 2.0;
        true
    }
}

impl Search for Rounding<'_> {
    fn place(&self) -> &[f32] {
        &self.place
    }

    fn gradients(&self) -> usize {
        0
    }

    fn slopes(&self, _: usize, logits: &[f32]) -> Vec<f32> {
        vec![0.0; logits.len()]
    }

    fn hear(&mut self, answer: &Answer) -> bool {
        let more = if answer.fools {
            self.fooled = Some(self.enlargement);
            self.found = Some((self.place.clone(), answer.logits.clone()));
            self.bisect()
        } else {
            self.fails()
        };
        more && self.settle()
    }
}
