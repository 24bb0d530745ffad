//! Our side of `bench/analysis.py`: opens a model and images once, then answers one question as often as it is told to on stdin,
//! and prints the seconds of each time.
//!
//!     questions WEIGHTS DATA TASK IMAGES

use std::io::BufRead;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Evidence, method};
use archaeo_lab::{
    AblationOptions, AttentionOptions, ModelSource, Purpose, Session, SessionOptions, Silent, Subject,
};
use archaeo_training::images::{Batch, Preprocessed};

// As the program has them.
#[global_allocator]
static ALLOCATOR: archaeo_ops::MiMalloc = archaeo_ops::MiMalloc;

/// Images at once, as on the other side.
const BATCH: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    archaeo_ops::keep_freed_memory();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [weights, data, task, images] = &words[..] else {
        return Err("questions WEIGHTS DATA TASK IMAGES".into());
    };
    let session = Session::new(SessionOptions::default(), Arc::new(Silent))?;
    let subject = Subject {
        limit: NonZeroUsize::new(images.parse()?),
        batch_size: NonZeroUsize::new(BATCH).expect("it is more than 0"),
        ..Subject::new(ModelSource::new(weights.as_str()), Some(data.clone()))
    };
    let opened = session.open(subject, Purpose::Score)?;
    let split = opened.split()?;
    let preprocessing = &opened.model.card().preprocessing;
    let source = Preprocessed { split, preprocessing };
    let batches: Vec<_> = (opened.indices.chunks(BATCH))
        .map(|batch| Ok((batch.iter().map(|&index| index as u64).collect(), Batch::load(&source, batch, 0)?)))
        .collect::<Result<Vec<(Vec<u64>, Batch)>, archaeo_data::DataError>>()?;
    let explain = |id: &str| -> Result<(), Box<dyn std::error::Error>> {
        let method = method(id).ok_or("there is no such method")?;
        for (ids, batch) in &batches {
            let keys = Keys { seed: 0, images: ids };
            let evidence = Evidence::new(&opened.model, batch.tensor(&opened.device), keys);
            method.explain_predicted(&evidence)?;
        }
        Ok(())
    };
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let times: usize = line?.trim().parse()?;
        let mut seconds = Vec::new();
        for _ in 0..times {
            let started = Instant::now();
            match task.as_str() {
                "forward" => drop(session.evaluate(&opened)?),
                "attention" => drop(session.attention(&opened, &AttentionOptions::default())?),
                "heads" => drop(session.ablate(&opened, &AblationOptions::default())?),
                id => explain(id)?,
            }
            seconds.push(started.elapsed().as_secs_f64().to_string());
        }
        println!("{}", seconds.join(" "));
    }
    Ok(())
}
