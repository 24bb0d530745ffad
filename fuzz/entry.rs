//! Where bytes from elsewhere come in, each as one function that says what was wrong in a sentence. The fuzzing test and the fuzz
//! targets share them.

use std::path::Path;

use archaeo_data::{Labels, OpenOptions};
use archaeo_experiments::investigation::InvestigationConfig;
use archaeo_models::{ModelRequest, checkpoint, read_card};
use archaeo_training::{RecipeFile, events};

/// Read, or the sentence that says why not.
pub type Outcome = Result<(), String>;

/// Decodes an image.
pub fn image(bytes: &[u8]) -> Outcome {
    // The two may differ: a header may be whole where the rest is not.
    let _ = archaeo_data::dimensions(bytes);
    archaeo_data::decode(bytes).map(drop)
}

/// Opens a data set, a file or a folder, decodes its images and sums it up.
pub fn data_set(path: &Path) -> Outcome {
    let options = OpenOptions { labels: Labels::Optional, ..OpenOptions::default() };
    let source = path.to_str().ok_or("the path is not text")?;
    let mut dataset = archaeo_data::open(source, &options).map_err(|error| error.to_string())?;
    let skipped = dataset.verify(&[]).map_err(|error| error.to_string())?;
    let _ = dataset.summary();
    skipped.iter().for_each(|bad| check_sentence(&bad.reason));
    Ok(())
}

/// Reads a checkpoint, whether it can be said which model it is or not.
pub fn weights(path: &Path) -> Outcome {
    let _ = read_card(path);
    let read = checkpoint::read(path).map_err(|error| error.to_string())?;
    if let Err(error) = read.describe(&ModelRequest::default()) {
        check_sentence(&error.to_string());
    }
    Ok(())
}

/// Reads a checkpoint with what lies next to it, and says which model it is.
pub fn described_weights(path: &Path) -> Outcome {
    let read = checkpoint::read(path).map_err(|error| error.to_string())?;
    read.describe(&ModelRequest::default()).map(drop).map_err(|error| error.to_string())
}

/// Understands a recipe, as `train` and as `excavate` do.
pub fn recipe(text: &str) -> Outcome {
    let of_training = RecipeFile::parse(text, &[]).map(drop).map_err(|error| error.to_string());
    let of_investigation =
        InvestigationConfig::parse(text, &[], true).map(drop).map_err(|error| error.to_string());
    for sentence in [&of_training, &of_investigation].into_iter().filter_map(|outcome| outcome.as_ref().err())
    {
        check_sentence(sentence);
    }
    of_training.or(of_investigation)
}

/// Reads the log of a training.
pub fn event_log(path: &Path) -> Outcome {
    let events = events::read(path).map_err(|error| error.to_string())?;
    // What is wrong with a line does not keep those after it from being read.
    let faults: Vec<String> = events.filter_map(|event| event.err().map(|error| error.to_string())).collect();
    faults.iter().for_each(|sentence| check_sentence(sentence));
    faults.into_iter().next().map_or(Ok(()), Err)
}

/// What is said fits on a line. Names may hold anything; the program shows them without what would move the cursor.
pub fn check_sentence(sentence: &str) {
    assert!(!sentence.is_empty() && !sentence.contains('\n'), "not one line: {sentence:?}");
}
