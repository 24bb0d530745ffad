//! The values of a step, with those of the epoch that ends with it: programs that draw curves take one record per step.

use serde_json::{Map, Value, json};

use super::described::{epoch_values, number, step_values};
use crate::Sight;
use crate::events::{Event, Happening};

/// What is known at one step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    /// Optimiser steps so far.
    pub step: u64,
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Seconds since 1970.
    pub time: f64,
    /// Values by name; numbers, or words for what JSON has no number for.
    pub values: Map<String, Value>,
    /// What the model of the epoch that ends with it looks at.
    pub sight: Option<Sight>,
}

/// Joins the events of a log to points.
#[derive(Debug, Default)]
pub(super) struct Points {
    /// The latest step, which its epoch may join.
    pending: Option<Point>,
    /// What the epoch that ends next shows.
    sight: Option<Sight>,
}

impl Points {
    /// Takes the next event; the points that are complete with it.
    pub fn take(&mut self, event: &Event) -> impl Iterator<Item = Point> + use<> {
        let mut complete = [None, None];
        match &event.what {
            Happening::Step(step) => {
                complete[0] = self.pending.take();
                self.add(step.step, step.epoch, event.time, step_values(step));
            }
            Happening::Epoch(record) => {
                if self.pending.as_ref().is_some_and(|point| point.step != record.step) {
                    complete[0] = self.pending.take();
                }
                self.add(record.step, record.epoch, event.time, epoch_values(record));
                let sight = self.sight.take_if(|sight| sight.step == record.step);
                complete[1] = self.pending.take().map(|point| Point { sight, ..point });
            }
            Happening::Sight(sight) => self.sight = Some(sight.clone()),
            _ => {}
        }
        complete.into_iter().flatten()
    }

    /// The last step, whose epoch did not end.
    pub fn rest(&mut self) -> Option<Point> {
        self.pending.take()
    }

    fn add(
        &mut self,
        step: u64,
        epoch: usize,
        time: f64,
        values: impl IntoIterator<Item = (&'static str, f64)>,
    ) {
        let point =
            self.pending.get_or_insert_with(|| Point { step, epoch, time, values: Map::new(), sight: None });
        let values = values.into_iter().map(|(key, value)| (key.to_owned(), number(value)));
        point.values.extend(values.chain([("epoch".to_owned(), json!(epoch))]));
    }
}
