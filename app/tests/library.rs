//! The program is a face of the library: `--json` is what a session answers to the same question.

mod support;

use std::path::Path;
use std::sync::Arc;

use archaeo_lab::{
    AblationOptions, AttackOptions, AttentionOptions, ModelSource, Opened, Purpose, Session, SessionOptions,
    Silent, Subject, known_models,
};
use archaeo_ops::Precision;
use serde::Serialize;
use serde_json::Value;
use support::{SHERDS, VIT_CONFIG, archaeo, json, succeed};

/// A result as the program prints it.
fn printed(result: &impl Serialize) -> Value {
    serde_json::from_str(&serde_json::to_string_pretty(result).unwrap()).unwrap()
}

fn session(precision: Precision) -> Session {
    let options = SessionOptions { precision: Some(precision), seed: Some(2), ..SessionOptions::default() };
    Session::new(options, Arc::new(Silent)).unwrap()
}

fn opened(session: &Session, weights: &Path, purpose: Purpose) -> Opened {
    let subject = Subject::new(ModelSource::new(weights), Some(SHERDS.into()));
    session.open(Subject { limit: 24.try_into().ok(), ..subject }, purpose).unwrap()
}

#[test]
fn a_session_answers_what_the_program_prints() {
    let folder = tempfile::tempdir().unwrap();
    let train = ["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--out"];
    succeed(archaeo(train).arg(folder.path()));
    let weights = folder.path().join("model.safetensors");
    let program = |command: &str, more: &[&str]| {
        let options = ["--data", SHERDS, "--limit", "24", "--seed", "2", "--weights"];
        json(archaeo([command]).args(options).arg(&weights).args(more))
    };

    let exact = session(Precision::F32);
    let scored = opened(&exact, &weights, Purpose::Score);
    assert_eq!(printed(&exact.evaluate(&scored).unwrap()), program("evaluate", &[]));
    assert_eq!(printed(&exact.ablate(&scored, &AblationOptions::default()).unwrap()), program("ablate", &[]));
    let attack = AttackOptions {
        steps: Some(2),
        ..AttackOptions::parse("pgd-l2", None, &["0.5".into(), "1".into()]).unwrap()
    };
    assert_eq!(
        printed(&exact.attack(&scored, &attack).unwrap()),
        program("attack", &["--attack", "pgd-l2", "--epsilon", "0.5,1", "--steps", "2"])
    );

    let rounded = session(Precision::Bf16);
    let looked_at = opened(&rounded, &weights, Purpose::Look);
    let second = AttentionOptions { layers: vec![2], ..AttentionOptions::default() };
    assert_eq!(
        printed(&rounded.attention(&looked_at, &second).unwrap()),
        program("attention", &["--layer", "2", "--precision", "bf16"])
    );

    let path = weights.to_str().unwrap();
    let described = json(&mut archaeo(["models", "show", path]));
    assert_eq!(printed(&exact.describe_model(path).unwrap()), described);
    assert_eq!(printed(&known_models().unwrap()), json(&mut archaeo(["models"])));
}
