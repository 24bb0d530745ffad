//! Questions asked of the library alone: no process, no terminal.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use archaeo_data::OpenOptions;
use archaeo_lab::{
    AblationOptions, Amount, AttackOptions, AttentionOptions, Kept, Kind, LabError, Listener, ModelSource,
    Opened, Purpose, Session, SessionOptions, Silent, Subject, Toml, Training, TrainingEnd,
};
use archaeo_ops::Precision;
use archaeo_store::arrays::Format;

/// Sherds of a few images of 16 px.
const SHERDS: &str = "sherds:size=16,train=256,val=64,test=70,aligned=32,conflict=32";

/// A ViT that learns a little in a second.
const RECIPE: Toml = Toml::Text(
    "image_size = 16
    epochs = 1
    batch_size = 32
    learning_rate = 2e-3
    [optimizer]
    name = 'adamw'
    [model]
    architecture = 'vit'
    patch_size = 4
    width = 32
    depth = 2
    heads = 2
    mlp_width = 64
    pooling = 'class-token'
    position = 'learned'",
);

/// Remembers what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Listener for Heard {
    fn say(&self, kind: Kind, text: &str) {
        self.push(format!("{kind:?}: {text}"));
    }

    fn begin(&self, what: &str, amount: Option<Amount>) {
        self.push(format!("begin {what} {}", amount.map_or(0, |amount| amount.total)));
    }

    fn end(&self) {
        self.push("end".into());
    }

    fn keeps(&self, kept: Kept) {
        if let Kept::Epochs { folder, .. } = kept {
            self.push(format!("keeps the epochs in {}", folder.display()));
        }
    }
}

fn session(options: SessionOptions) -> Session {
    Session::new(options, Arc::new(Silent)).unwrap()
}

fn train(session: &Session, out: &Path) -> PathBuf {
    let recipe = session.recipe(RECIPE, &[]).unwrap();
    let training = Training { recipe: &recipe, data: Some(SHERDS), out, strict: false };
    let TrainingEnd::Finished(result) = session.train(&training).unwrap() else {
        panic!("one run, and nobody stopped it")
    };
    assert_eq!((result.epochs, result.validation.map(|record| record.epoch)), (1, Some(1)));
    result.model.into()
}

/// One model for all tests.
static WEIGHTS: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let weights = train(&session(SessionOptions::default()), &folder.path().join("run"));
    (folder, weights)
});

fn subject() -> Subject {
    Subject::new(ModelSource::new(&WEIGHTS.1), Some(SHERDS.into()))
}

#[test]
fn what_is_scored_is_what_was_answered() {
    let session = session(SessionOptions::default());
    let opened = session.open(subject(), Purpose::Score).unwrap();
    let result = session.evaluate(&opened).unwrap();
    let answers = &result.answers;
    let right =
        answers.labels.iter().zip(answers.logits.chunks(answers.classes)).filter(|(label, logits)| {
            let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class);
            best == Some(**label)
        });
    assert_eq!((result.n, answers.labels.clone()), (70, opened.labels().unwrap()));
    assert_eq!(result.top1, right.count() as f64 / 70.0);
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(json["top1"], result.top1);
    assert_eq!(json["classes"]["matched_by"], "name");
    assert!(json["balanced_accuracy"].is_number() && json.get("answers").is_none());
}

/// A heatmap of one image is that of the same image among many.
#[test]
fn one_image_is_asked_about_as_many_are() {
    let session = session(SessionOptions::default());
    let options = AttentionOptions {
        methods: vec!["rollout".into(), "gradient-rollout".into()],
        ..AttentionOptions::default()
    };
    let mut opened = session.open(subject(), Purpose::Look).unwrap();
    let all = session.attention(&opened, &options).unwrap();
    assert_eq!((all.n, all.maps.len(), all.maps[0].len()), (70, 2, 70));
    assert_eq!(all.statistics.get("attention_distance").unwrap().len(), 2);
    assert!(all.statistics.get("register_mass").is_none());
    opened.indices = vec![5];
    let one = session.attention(&opened, &options).unwrap();
    assert_eq!(one.n, 1);
    for method in 0..2 {
        assert_eq!(one.maps[method], all.maps[method][5..6]);
    }
}

#[test]
fn the_precision_is_the_sessions_on_every_thread() {
    fn shared<T: Send + Sync>() {}
    shared::<Session>();
    shared::<Opened>();
    shared::<LabError>();
    let ask = |precision| {
        let session = session(SessionOptions { precision: Some(precision), ..SessionOptions::default() });
        let opened = session.open(subject(), Purpose::Score).unwrap();
        let here = session.evaluate(&opened).unwrap();
        let there = std::thread::scope(|scope| {
            scope.spawn(|| session.evaluate(&opened).unwrap()).join().expect("it answers")
        });
        assert_eq!(here.answers, there.answers);
        (here.precision, here.answers.logits)
    };
    let (f32, exact) = ask(Precision::F32);
    let (bf16, rounded) = ask(Precision::Bf16);
    assert_eq!((f32, bf16), ("f32", "bf16"));
    assert_ne!(exact, rounded);
    assert_eq!(ask(Precision::F32).1, exact);
}

#[test]
fn an_export_is_written_with_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(SessionOptions { seed: Some(1), ..SessionOptions::default() });
    for (ending, format) in [("npz", Format::Npz), ("csv", Format::Csv)] {
        let file = folder.path().join("arrays").with_extension(ending);
        let limited = Subject { limit: 12.try_into().ok(), export: Some(file.clone()), ..subject() };
        let opened = session.open(limited, Purpose::Score).unwrap();
        let options = AttackOptions::parse("fgsm", None, &["8/255".into()]).unwrap();
        let attacked = session.attack(&opened, &options).unwrap();
        let epsilons: Vec<f64> = attacked.points.iter().map(|point| point.epsilon).collect();
        assert_eq!(epsilons, [0.0, 8.0]);
        assert!(attacked.points.iter().all(|point| point.predicted.len() == 12));
        assert_eq!(Format::of(&file).unwrap(), format);
        assert!(file.is_file());
    }
    let nowhere = Subject { export: Some(folder.path().join("none/a.csv")), ..subject() };
    let sentence = session.open(nowhere, Purpose::Score).err().unwrap().to_string();
    assert!(sentence.contains("there is no folder") && sentence.contains("create it first"), "{sentence}");
}

#[test]
fn the_seed_draws_the_sample() {
    let drawn = |seed| {
        let session = session(SessionOptions { seed, ..SessionOptions::default() });
        let limited = Subject { limit: 20.try_into().ok(), ..subject() };
        session.open(limited, Purpose::Look).unwrap().indices
    };
    assert_eq!(drawn(None), drawn(Some(0)));
    assert_ne!(drawn(Some(0)), drawn(Some(1)));
    assert!(drawn(Some(1)).is_sorted());
}

/// What a session says comes before what a recipe says, and only where it was asked for.
#[test]
fn a_recipe_takes_over_what_the_session_says() {
    let recipe =
        |options, set: &[String]| session(options).recipe(RECIPE, set).unwrap().recipe(None).unwrap();
    let own = ["seed=3".to_owned(), "precision=\"bf16\"".to_owned()];
    let plain = recipe(SessionOptions::default(), &own);
    assert_eq!((plain.seed, plain.precision), (3, Precision::Bf16));
    let options =
        SessionOptions { seed: Some(4), precision: Some(Precision::F32), ..SessionOptions::default() };
    let told = recipe(options, &own);
    assert_eq!((told.seed, told.precision), (4, Precision::F32));
}

#[test]
fn a_device_is_asked_for_when_it_is_needed() {
    let session = session(SessionOptions { device: "abacus".into(), ..SessionOptions::default() });
    session.open_data(SHERDS, &OpenOptions::default()).unwrap();
    session.describe_model("vit_micro").unwrap();
    for error in [
        session.open_model(&ModelSource::new(&WEIGHTS.1)).err().unwrap(),
        session.open(subject(), Purpose::Look).err().unwrap(),
    ] {
        assert!(matches!(error, LabError::Device(_)), "{error}");
        assert!(error.to_string().contains("there is no device called `abacus`; use cpu"), "{error}");
    }
}

#[test]
fn the_number_of_threads_is_decided_once() {
    let running = rayon::current_num_threads();
    let with = |threads| {
        Session::new(SessionOptions { threads: Some(threads), ..SessionOptions::default() }, Arc::new(Silent))
    };
    assert!(with(running).is_ok());
    let sentence = with(running + 1).err().unwrap().to_string();
    assert!(sentence.contains(&format!("ask for {running}, not {}", running + 1)), "{sentence}");
}

#[test]
fn names_that_are_not_known_are_refused_with_those_that_are() {
    let session = session(SessionOptions::default());
    let opened = session.open(subject(), Purpose::Look).unwrap();
    let attention = |options: AttentionOptions| session.attention(&opened, &options).unwrap_err().to_string();
    let methods = |id: &str| AttentionOptions { methods: vec![id.into()], ..AttentionOptions::default() };
    let sentence = attention(methods("tea-leaves"));
    assert!(sentence.starts_with("--method tea-leaves: ") && sentence.contains("rollout"), "{sentence}");
    let sentence = attention(AttentionOptions { layers: vec![3], ..AttentionOptions::default() });
    assert_eq!(sentence, "--layer 3: custom has 2 layers, numbered from 1 to 2");
    let sentence = attention(AttentionOptions { layers: vec![0], ..AttentionOptions::default() });
    assert!(sentence.starts_with("--layer 0: custom has 2 layers"), "{sentence}");
    let sentence = AttackOptions::parse("flattery", None, &[]).unwrap_err().to_string();
    assert!(sentence.starts_with("--attack flattery: ") && sentence.contains("pgd"), "{sentence}");
    let sentence = AttackOptions::parse("pgd", None, &["much".into()]).unwrap_err().to_string();
    assert!(sentence.starts_with("--epsilon much: "), "{sentence}");
}

#[test]
fn a_listener_hears_what_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let heard = Arc::new(Heard::default());
    let session = session(SessionOptions::default()).heard_by(heard.clone());
    train(&session, folder.path());
    let lines = heard.take();
    // One part follows another; what ends is the last.
    let expected =
        ["begin reading the data 0", "begin checking images 454", "begin hashing the data 0", "end"];
    assert_eq!(lines[..4], expected);
    assert!(lines.contains(&format!("keeps the epochs in {}", folder.path().display())), "{lines:?}");
    let opened = session.open(subject(), Purpose::Score).unwrap();
    let lines = heard.take();
    assert!(lines.contains(&format!("Detail: 70 of the images of {SHERDS}/test are used")), "{lines:?}");
    session.evaluate(&opened).unwrap();
    assert_eq!(heard.take(), ["begin custom 70", "end"]);
}

#[test]
fn a_listener_may_stop_a_study() {
    struct Impatient;
    impl Listener for Impatient {
        fn interrupted(&self) -> bool {
            true
        }
    }
    let session = session(SessionOptions::default()).heard_by(Arc::new(Impatient));
    let opened = session.open(subject(), Purpose::Score).unwrap();
    let sentence = session.ablate(&opened, &AblationOptions::default()).unwrap_err().to_string();
    assert!(sentence.starts_with("interrupted"), "{sentence}");
}
