//! Explanations asked of the library alone, on models that learn a little in a second.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Evidence, Heatmap, method};
use archaeo_analysis::faithfulness::mass_in_mask;
use archaeo_lab::{
    ExplainOptions, Explained, Kind, LabError, Listener, MethodChoice, ModelSource, Opened, Purpose, Session,
    SessionOptions, Silent, Subject, Target, Toml, Training,
};
use archaeo_store::arrays::{Values, read_export};
use archaeo_training::images::{Batch, Preprocessed, preprocess_mask};

const SHERDS: &str = "sherds:size=16,train=256,val=64,test=70,aligned=32,conflict=32";

const VIT: &str = "architecture = 'vit'\npatch_size = 4\nwidth = 32\ndepth = 2\nheads = 2\nmlp_width = 64\n\
                   pooling = 'class-token'\nposition = 'learned'";

const RESNET: &str =
    "architecture = 'resnet'\nstem = 'cifar'\nbranch = 'basic'\nblocks = [1, 1, 1, 1]\nwidth = 8";

fn session() -> Session {
    Session::new(SessionOptions::default(), Arc::new(Silent)).unwrap()
}

fn train(model: &str, out: &Path) -> PathBuf {
    let recipe = format!(
        "image_size = 16\nepochs = 1\nbatch_size = 32\nlearning_rate = 2e-3\n[optimizer]\nname = 'adamw'\n[model]\n{model}"
    );
    let recipe = session().recipe(Toml::Text(&recipe), &[]).unwrap();
    session().train(&Training { recipe: &recipe, data: Some(SHERDS), out, strict: false }).unwrap();
    out.join("model.safetensors")
}

struct Models {
    _folder: tempfile::TempDir,
    vit: PathBuf,
    resnet: PathBuf,
}

static MODELS: LazyLock<Models> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let [vit, resnet] =
        [("vit", VIT), ("resnet", RESNET)].map(|(name, model)| train(model, &folder.path().join(name)));
    Models { _folder: folder, vit, resnet }
});

/// So many of Sherds' test images, in batches of four.
fn opened(weights: &Path, images: usize, export: Option<PathBuf>, purpose: Purpose) -> Vec<Opened> {
    let subject = Subject {
        limit: Some(images.try_into().unwrap()),
        batch_size: 4.try_into().unwrap(),
        export,
        ..Subject::new(ModelSource::new(weights), Some(SHERDS.into()))
    };
    vec![session().open(subject, purpose).unwrap()]
}

fn these(ids: &[&str]) -> MethodChoice {
    MethodChoice::These(ids.iter().map(|id| (*id).to_owned()).collect())
}

fn explain(opened: &[Opened], options: &ExplainOptions) -> Result<Explained, LabError> {
    session().explain(opened, options, &mut |_, _| Ok(()))
}

/// What a method gives for all images at once.
fn directly(opened: &Opened, id: &str, targets: Option<&[usize]>) -> (Vec<Heatmap>, Vec<usize>) {
    let Opened { model, indices, device, .. } = opened;
    let images = Preprocessed { split: opened.split().unwrap(), preprocessing: &model.card().preprocessing };
    let pixels = Batch::load(&images, indices, 0).unwrap().tensor(device);
    let ids: Vec<u64> = indices.iter().map(|&index| index as u64).collect();
    let evidence = Evidence::new(model, pixels, Keys { seed: 0, images: &ids });
    let targets = targets.map_or_else(|| evidence.predicted().unwrap(), <[usize]>::to_vec);
    (method(id).unwrap().explain(&evidence, &targets).unwrap(), targets)
}

fn arrays(path: &Path) -> HashMap<String, (Vec<usize>, Values)> {
    let read = read_export(path).unwrap();
    read.into_iter().map(|array| (array.name, (array.shape, array.values))).collect()
}

#[test]
fn an_export_holds_what_each_method_gives() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("maps.safetensors");
    let ids = ["rollout", "gradient-rollout", "grad-cam", "random", "edges"];
    for (target, classes) in [(Target::Predicted, None), (Target::Class("3".into()), Some([3; 6]))] {
        let opened = opened(&MODELS.vit, 6, Some(file.clone()), Purpose::Look);
        let options = ExplainOptions { methods: these(&ids), target, ..ExplainOptions::default() };
        let explained = explain(&opened, &options).unwrap();
        assert_eq!((explained.n, explained.complete, explained.layer), (6, true, Some(2)));
        let arrays = arrays(&file);
        for id in ids {
            let (maps, targets) = directly(&opened[0], id, classes.as_ref().map(|classes| &classes[..]));
            let (shape, values) = &arrays[&id.replace('-', "_")];
            assert_eq!(*shape, [6, maps[0].height, maps[0].width], "{id}");
            let expected: Vec<f32> = maps.into_iter().flat_map(|map| map.values).collect();
            assert_eq!(*values, Values::F32(expected), "{id}");
            let expected = targets.iter().map(|&target| target as i64).collect();
            assert_eq!(arrays["targets"], (vec![6], Values::I64(expected)));
        }
        assert_eq!(arrays["rollout"].0, [6, 4, 4]);
        assert_eq!(arrays["edges"].0, [6, 16, 16]);
    }
}

#[test]
fn an_image_has_its_names_and_its_maps() {
    let opened = opened(&MODELS.vit, 6, None, Purpose::Score);
    let options = ExplainOptions { target: Target::Label, layer: Some(1), ..ExplainOptions::default() };
    let mut seen = Vec::new();
    let explained = session()
        .explain(&opened, &options, &mut |explained, exhibits| {
            assert!(exhibits.len() <= 4, "a batch at once");
            assert_eq!((explained.layer, explained.images.len()), (Some(1), seen.len()));
            seen.extend_from_slice(exhibits);
            Ok(())
        })
        .unwrap();
    let names = &opened[0].dataset.classes;
    let labels = opened[0].labels().unwrap();
    let identifiers = opened[0].images().unwrap();
    for (((image, exhibit), &label), identifier) in
        explained.images.iter().zip(&seen).zip(&labels).zip(&identifiers)
    {
        assert_eq!((&image.image, image.label.as_ref()), (identifier, Some(&names[label])));
        let target = image.target.as_ref().unwrap();
        assert_eq!((target.class, &target.name), (label, &names[label]));
        let probabilities: Vec<f64> = image.predictions.iter().map(|answer| answer.probability).collect();
        assert!(probabilities.len() == 5 && probabilities.is_sorted_by(|one, next| one >= next));
        assert!(image.predictions.iter().all(|answer| answer.name == names[answer.class]));
        assert_eq!(
            (exhibit.heatmaps.len(), exhibit.layers.len(), exhibit.heads.len()),
            (explained.methods.len(), 2, 2)
        );
        // The layers are means over their heads.
        for (place, &mean) in exhibit.layers[0].values.iter().enumerate() {
            let heads: f32 = exhibit.heads.iter().map(|head| head.values[place]).sum();
            assert!((mean - heads / 2.0).abs() < 1e-6);
        }
    }
    let place = explained.methods.iter().position(|method| method.id == "gradient-rollout").unwrap();
    let (maps, _) = directly(&opened[0], "gradient-rollout", Some(&labels));
    assert_eq!(seen.iter().map(|exhibit| exhibit.heatmaps[place].clone()).collect::<Vec<_>>(), maps);
    // Baselines are among all, and all apply to a transformer with a head.
    assert!(
        explained.left_out.iter().all(|out| method(out.method)
            .unwrap()
            .applies(&opened[0].model)
            .reason()
            .is_some())
    );
    assert!(explained.methods.iter().any(|method| method.id == "centre"));
}

#[test]
fn masks_score_every_method() {
    let few = opened(&MODELS.vit, 4, None, Purpose::Look);
    let options = ExplainOptions { methods: these(&["rollout"]), ..ExplainOptions::default() };
    let explained = explain(&few, &options).unwrap();
    let localisation = explained.localisation.unwrap();
    assert!(localisation.n <= 4 && localisation.methods["rollout"].over_random.is_none());
    let (maps, _) = directly(&few[0], "rollout", None);
    let preprocessing = &few[0].model.card().preprocessing;
    for ((image, map), &index) in explained.images.iter().zip(maps).zip(&few[0].indices) {
        let Some(scores) = &image.localisation else { continue };
        let truth = few[0].split().unwrap().load(index).unwrap().truth.unwrap();
        let mask = preprocess_mask(&truth.mask, preprocessing);
        assert_eq!(scores.methods["rollout"].mass, mass_in_mask(&map.resized(16, 16), &mask));
        assert_eq!(scores.object_share, mask.iter().filter(|inside| **inside).count() as f64 / 256.0);
        assert_eq!(scores.methods.keys().copied().collect::<Vec<_>>(), ["centre", "random", "rollout"]);
    }
    let explained = explain(&opened(&MODELS.vit, 24, None, Purpose::Look), &options).unwrap();
    let localisation = explained.localisation.unwrap();
    assert!(
        localisation.methods["rollout"].over_random.is_some()
            && localisation.methods["centre"].over_random.is_some()
    );
    assert!(localisation.methods["random"].over_random.is_none());
}

#[test]
fn heatmaps_carry_what_they_were_measured_to_be_worth() {
    let options =
        ExplainOptions { methods: these(&["rollout", "grad-cam"]), scored: 16, ..ExplainOptions::default() };
    let few = explain(&opened(&MODELS.vit, 9, None, Purpose::Look), &options).unwrap().faithfulness;
    let said = few.of("rollout");
    assert!(few.n == 0 && said.contains("nothing can be told from 9 images; give --data"), "{said}");
    let one = explain(&opened(&MODELS.vit, 1, None, Purpose::Look), &options).unwrap().faithfulness;
    assert!(one.of("rollout").contains("nothing can be told from one image"), "{}", one.of("rollout"));

    let many = opened(&MODELS.vit, 24, None, Purpose::Look);
    let mut seen = Vec::new();
    let explained = session()
        .explain(&many, &options, &mut |explained, _| {
            seen.push(explained.faithfulness.of("rollout"));
            Ok(())
        })
        .unwrap();
    let found = &explained.faithfulness;
    assert!(seen.iter().all(|said| *said == found.of("rollout")), "known before the first picture");
    assert_eq!((found.n, found.methods.len()), (16, 4));
    assert!(
        found.of("rollout").starts_with("deletion 0.")
            && found.of("rollout").contains("better than random: ")
    );
    for (id, scores) in &found.methods {
        assert_eq!(scores["deletion"].mean.n, 16);
        assert_eq!(scores["insertion"].over_random.is_some(), ["rollout", "grad-cam"].contains(id), "{id}");
    }
}

/// Remembers notes.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Listener for Notes {
    fn say(&self, kind: Kind, text: &str) {
        if kind == Kind::Note {
            self.0.lock().unwrap().push(text.into());
        }
    }
}

#[test]
fn what_does_not_suit_is_left_out_or_refused() {
    let resnet = opened(&MODELS.resnet, 2, None, Purpose::Look);
    let heard = Arc::new(Notes::default());
    let explained = session()
        .heard_by(heard.clone())
        .explain(&resnet, &ExplainOptions::default(), &mut |_, _| Ok(()))
        .unwrap();
    let out: Vec<&str> = explained.left_out.iter().map(|out| out.method).collect();
    assert!(out.contains(&"rollout") && !out.contains(&"grad-cam"), "{out:?}");
    assert_eq!((explained.layer, explained.read_out), (None, None));
    let notes = heard.0.lock().unwrap().join("\n");
    assert!(notes.contains("without rollout") && notes.contains("no attention heads"), "{notes}");

    let vit = opened(&MODELS.vit, 2, None, Purpose::Look);
    let of_method =
        |id: &str| ExplainOptions { methods: these(&["grad-cam", id]), ..ExplainOptions::default() };
    let of_layer = |layer| ExplainOptions { layer: Some(layer), ..ExplainOptions::default() };
    let of_class =
        |class: &str| ExplainOptions { target: Target::Class(class.into()), ..ExplainOptions::default() };
    for (opened, options, expected) in [
        (&resnet, of_method("rollout"), "--methods rollout: "),
        (&vit, of_method("rolout"), "--methods rolout: there is no such method; there are all, rollout, "),
        (&resnet, of_layer(1), "which has no attention heads; give a vision transformer"),
        (&vit, of_layer(3), "--layer 3: "),
        (&vit, of_class("discc"), "--target discc: the model has no such class; did you mean `disc`"),
        (&vit, of_class("1000"), "--target 1000: the model's outputs are numbered from 0 to "),
    ] {
        let sentence = explain(opened, &options).unwrap_err().to_string();
        assert!(sentence.contains(expected), "{sentence}\nnot {expected}");
    }
}

#[test]
fn pictures_are_there_whole_and_nothing_else_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let vit = opened(&MODELS.vit, 5, None, Purpose::Look);
    let options = ExplainOptions { methods: these(&["rollout", "edges"]), ..ExplainOptions::default() };
    let out = path("out");
    // Twice: what is there is one of ours.
    for _ in 0..2 {
        let explained = session().explain_into(&vit, &options, &out).unwrap();
        let written: serde_json::Value =
            serde_json::from_slice(&fs::read(out.join("explained.json")).unwrap()).unwrap();
        // By way of a text, as numbers of 32 bits are written.
        let returned = serde_json::to_string(&explained).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(&returned).unwrap());
        assert_eq!((written["n"].as_u64(), written["complete"].as_bool()), (Some(5), Some(true)));
        for image in &explained.images {
            let mut files: Vec<String> = fs::read_dir(out.join(image.folder.as_ref().unwrap()))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let pairs = ["heads-layer-2", "layers", "method-edges", "method-rollout", "methods"];
            let mut expected: Vec<String> =
                pairs.iter().flat_map(|name| [format!("{name}.png"), format!("{name}.svg")]).collect();
            expected.push("input.png".into());
            expected.sort();
            assert_eq!(files, expected);
        }
    }

    // What is refused leaves nothing behind.
    let refused = ExplainOptions { target: Target::Class("no such class".into()), ..options.clone() };
    session().explain_into(&vit, &refused, &path("none")).unwrap_err();
    assert!(!path("none").exists());
    fs::create_dir(path("thesis")).unwrap();
    fs::write(path("thesis/thesis.txt"), "mine").unwrap();
    for taken in ["thesis", "thesis/thesis.txt"] {
        let sentence = session().explain_into(&vit, &options, &path(taken)).unwrap_err().to_string();
        assert!(sentence.ends_with("give --out a new or an empty folder"), "{sentence}");
    }
    assert_eq!(fs::read(path("thesis/thesis.txt")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(path("thesis")).unwrap().count(), 1);
}

/// Stops at once.
struct Stop;

impl Listener for Stop {
    fn interrupted(&self) -> bool {
        true
    }
}

#[test]
fn who_is_asked_to_stop_stops() {
    let folder = tempfile::tempdir().unwrap();
    let vit = opened(&MODELS.vit, 5, None, Purpose::Look);
    let session = session().heard_by(Arc::new(Stop));
    let ended = session.explain_into(&vit, &ExplainOptions::default(), &folder.path().join("out"));
    assert!(matches!(ended, Err(LabError::Interrupted)));
    assert!(!folder.path().join("out").exists());
}

#[test]
fn several_sources_are_asked_about_with_one_model() {
    let subject =
        Subject { limit: Some(3.try_into().unwrap()), ..Subject::new(ModelSource::new(&MODELS.vit), None) };
    let other = SHERDS.replace("test=70", "test=60");
    let sources = [SHERDS, &other].map(|source| Some(source.to_owned()));
    let opened = session().open_sources(subject, &sources, Purpose::Look).unwrap();
    let options = ExplainOptions { methods: these(&["rollout"]), ..ExplainOptions::default() };
    let explained = explain(&opened, &options).unwrap();
    let found: Vec<&str> = explained.images.iter().map(|image| image.source.as_str()).collect();
    assert_eq!(found, [SHERDS, SHERDS, SHERDS, &other, &other, &other]);
}
