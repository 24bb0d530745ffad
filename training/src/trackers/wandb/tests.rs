//! The records, read back field by field.

use std::path::Path;

use serde_json::{Value, json};

use super::super::{Files, Tracker};
use super::frames_tests::read;
use super::{WANDB, Wandb};
use crate::EpochRecord;
use crate::events::{Event, Happening, Start, Step};

/// Field numbers and contents of a message; varints as eight bytes.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(message: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = message[0];
            *message = &message[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let content = match tag & 7 {
            0 => varint(&mut message).to_le_bytes().to_vec(),
            2 => {
                let length = varint(&mut message) as usize;
                let (content, rest) = message.split_at(length);
                message = rest;
                content.to_vec()
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, content));
    }
    found
}

/// The content of one field.
#[track_caller]
fn field(message: &[u8], number: u64) -> Vec<u8> {
    fields(message).into_iter().find(|(field, _)| *field == number).expect("it is there").1
}

fn text(message: &[u8], number: u64) -> String {
    String::from_utf8(field(message, number)).unwrap()
}

fn integer(message: &[u8], number: u64) -> u64 {
    u64::from_le_bytes(field(message, number).try_into().unwrap())
}

/// The items or updates of a message.
fn entries(message: &[u8]) -> Value {
    let items = fields(message).into_iter().filter(|(field, _)| *field == 1);
    items
        .map(|(_, item)| (text(&item, 1), serde_json::from_str::<Value>(&text(&item, 16)).unwrap()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn started(time: f64) -> Event {
    let start = Start {
        epochs_done: 0,
        total_steps: 4,
        model: "vit_micro".into(),
        parameters: 10,
        seed: 3,
        recipe: json!({ "learning_rate": 0.5, "project": "shards" }),
        data: None,
        environment: None,
    };
    Event { time, what: Happening::Started(Box::new(start)) }
}

fn step(time: f64, step: u64) -> Event {
    let step = Step { epoch: 1, step, loss: 2.0 / step as f64, learning_rate: 0.5, gradient_norm: 1.5 };
    Event { time, what: Happening::Step(step) }
}

fn epoch(time: f64, epoch: usize, step: u64, validation_accuracy: f64) -> Event {
    let record = EpochRecord {
        epoch,
        step,
        learning_rate: 0.25,
        train_loss: 1.5,
        validation_loss: 1.25,
        validation_accuracy,
        images_per_second: 100.0,
        waiting: None,
        exchanging: None,
        seconds: 2.0,
    };
    Event { time, what: Happening::Epoch(record) }
}

/// Field number and content of each record of the one file that these events make, and its path.
fn records(events: &[Event]) -> (String, Vec<(u64, Vec<u8>)>) {
    let (mut tracker, mut files) = (Wandb::default(), Files::begin(&WANDB, Path::new("none")));
    events.iter().for_each(|event| tracker.log(event, &mut files));
    assert_eq!(files.additions.len(), 1);
    let (path, file) = files.additions.pop_first().unwrap();
    let records = read(&file).unwrap().into_iter().enumerate().map(|(place, record)| {
        assert_eq!(integer(&record, 1), place as u64 + 1, "records are counted");
        let [_, content] = <[_; 2]>::try_from(fields(&record)).unwrap();
        content
    });
    (path, records.collect())
}

#[test]
fn a_run_is_told_from_its_beginning_to_its_end() {
    let end =
        Event { time: 951_827_706.5, what: Happening::Finished { weights: "model.safetensors".into() } };
    let events = [
        started(951_827_696.25),
        step(951_827_697.25, 1),
        step(951_827_698.25, 2),
        epoch(951_827_699.25, 1, 2, 0.75),
        epoch(951_827_700.25, 2, 4, 0.5),
        end,
    ];
    let (path, records) = records(&events);
    let (folder, file) =
        path.strip_prefix("wandb/offline-run-20000229_123456-").unwrap().split_once('/').unwrap();
    assert_eq!(file, format!("run-{folder}.wandb"));

    let kinds: Vec<u64> = records.iter().map(|(kind, _)| *kind).collect();
    // Header, run, step 1, step 2 with its epoch, epoch 2, and the exit; a summary follows each epoch.
    assert_eq!(kinds, [21, 17, 2, 2, 3, 2, 3, 3, 18]);
    let run = &records[1].1;
    assert_eq!([text(run, 1), text(run, 3), text(run, 8)], [folder, "shards", "vit_micro seed 3"]);
    let time = field(run, 17);
    assert_eq!((integer(&time, 1), integer(&time, 2)), (951_827_696, 250_000_000));
    let configuration = entries(&field(run, 4));
    assert_eq!(configuration["recipe"]["learning_rate"], 0.5);
    assert_eq!((&configuration["seed"], &configuration["_wandb"]), (&json!(3), &json!({})));

    let first = json!({
        "step/loss": 2.0, "step/learning_rate": 0.5, "step/gradient_norm": 1.5, "epoch": 1,
        "_step": 1, "_timestamp": 951_827_697.25, "_runtime": 1.0,
    });
    assert_eq!(entries(&records[2].1), first);
    assert_eq!(integer(&field(&records[2].1, 2), 1), 1);
    let joined = entries(&records[3].1);
    assert_eq!((&joined["step/loss"], &joined["accuracy/validation"]), (&json!(1.0), &json!(0.75)));
    assert_eq!(joined["_step"], 2);
    assert!(entries(&records[5].1).get("step/loss").is_none(), "an epoch whose steps are lost");

    let summary = entries(&records[7].1);
    assert_eq!(summary["accuracy/validation"], 0.5);
    assert_eq!(summary["best_accuracy/validation"], 0.75);
    assert_eq!((&summary["_step"], &summary["weights"]), (&json!(4), &json!("model.safetensors")));
    assert_eq!((integer(&records[8].1, 1), integer(&records[8].1, 2)), (0, 10));
}

#[test]
fn a_failure_an_interruption_and_a_lost_log_are_told_as_such() {
    let failed = Event { time: 2.0, what: Happening::Failed { reason: "it diverged".into() } };
    let (_, told) = records(&[started(1.0), step(1.5, 1), failed]);
    let kinds: Vec<u64> = told.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [21, 17, 2, 3, 18], "the last step is not lost");
    assert_eq!((integer(&told[4].1, 1), entries(&told[3].1)["failure"].clone()), (1, json!("it diverged")));

    let stopped = |epochs| Event { time: 2.0, what: Happening::Stopped { epochs } };
    let (_, told) = records(&[started(1.0), epoch(1.5, 1, 2, 0.5), stopped(1)]);
    assert_eq!(integer(&told.last().unwrap().1, 1), 255);
    let (mut tracker, mut files) = (Wandb::default(), Files::begin(&WANDB, Path::new("none")));
    [started(1.0), step(1.5, 1), stopped(0)].iter().for_each(|event| tracker.log(event, &mut files));
    assert!(files.additions.is_empty(), "the training starts afresh, as another run");

    // A log that begins with the epochs of a checkpoint: the configuration comes when it is known, once.
    let (_, told) = records(&[epoch(1.0, 1, 2, 0.5), started(2.0), step(3.0, 3), started(4.0), step(5.0, 4)]);
    let kinds: Vec<u64> = told.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [21, 17, 2, 3, 5, 2]);
    assert_eq!(entries(&told[4].1)["model"], "vit_micro");
}
