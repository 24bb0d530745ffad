//! Questions about one image give what the commands give for it.

use std::path::Path;
use std::sync::Arc;

use archaeo_lab::live::{AttackRequest, InterventionRequest, Live, LiveOptions, RolloutRequest, bundled_run};
use archaeo_lab::{
    AblationOptions, AttackOptions, ExplainOptions, MethodChoice, ModelSource, Opened, Purpose, Session,
    SessionOptions, Silent, Subject,
};
use archaeo_plot::{Image, to_png};
use archaeo_store::arrays::{Arrays, Numbers};

/// Images of the data that are compared; the first ones of each class.
const IMAGES: usize = 6;

fn session() -> Session {
    Session::new(SessionOptions::default(), Arc::new(Silent)).unwrap()
}

fn live() -> Live {
    session().live(&LiveOptions { run: Some(bundled_run().unwrap()), ..LiveOptions::default() }).unwrap()
}

fn opened(model: &str) -> Opened {
    let weights = bundled_run().unwrap().join(model).join("model.safetensors");
    let subject = Subject {
        limit: Some(IMAGES.try_into().unwrap()),
        ..Subject::new(ModelSource::new(weights), Some("sherds".into()))
    };
    session().open(subject, Purpose::Score).unwrap()
}

/// What the lab calls an image of the data's test split.
fn id(index: usize) -> String {
    format!("d{}", index + 1)
}

fn map(arrays: &Arrays, name: &str) -> Vec<f32> {
    let array = arrays.arrays.iter().find(|array| array.name == name).unwrap();
    match &array.numbers {
        Numbers::F32(values) => values.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn heatmaps_and_answers_are_those_of_explain() {
    let live = live();
    // One of each kind: shared passes, own passes, random numbers keyed by the image, a baseline.
    for (model, methods) in [
        ("vit", ["rollout", "chefer", "smoothgrad", "random"]),
        ("cnn", ["grad-cam", "lrp", "smoothgrad", "random"]),
    ] {
        let opened = opened(model);
        let indices = opened.indices.clone();
        let options = ExplainOptions {
            methods: MethodChoice::These(methods.map(String::from).to_vec()),
            ..ExplainOptions::default()
        };
        let mut at = 0;
        let explained = session().explain(&[opened], &options, &mut |explained, exhibits| {
            for exhibit in exhibits {
                let image = id(indices[at]);
                at += 1;
                for (info, heatmap) in explained.methods.iter().zip(&exhibit.heatmaps) {
                    let own = live.explain(model, &image, info.id, None).unwrap();
                    let (own, scale) =
                        (map(&own, "map"), heatmap.values.iter().fold(0f32, |m, v| m.max(v.abs())));
                    for (own, expected) in own.iter().zip(&heatmap.values) {
                        assert!((own - expected).abs() <= 1e-5 * scale, "{model} {image} {}", info.id);
                    }
                }
                assert_eq!(*live.input_picture(model, &image).unwrap(), exhibit.picture);
                let answer = live.answer(model, &image).unwrap();
                for (own, expected) in answer.top.iter().zip(&exhibit.found.predictions) {
                    assert_eq!((own.class, &own.name), (expected.class, &expected.name));
                    assert!((own.probability - expected.probability).abs() < 1e-5);
                }
            }
            Ok(())
        });
        assert_eq!((explained.unwrap().n, at), (IMAGES, IMAGES));
    }
}

#[test]
fn an_attack_makes_the_image_that_the_command_saves() {
    let live = live();
    let folder = tempfile::tempdir().unwrap();
    let opened = opened("vit");
    let (indices, labels) = (opened.indices.clone(), opened.labels().unwrap());
    let save = Some(folder.path().join("saved"));
    let options =
        AttackOptions { steps: Some(5), save, ..AttackOptions::parse("pgd", None, &["4".into()]).unwrap() };
    session().attack(&opened, &options).unwrap();
    let saved = pngs(folder.path());
    let mut compared = 0;
    for (&index, &label) in indices.iter().zip(&labels) {
        let clean = live.answer("vit", &id(index)).unwrap();
        if clean.top[0].class != label {
            continue;
        }
        let request = AttackRequest {
            image: id(index),
            model: "vit".into(),
            attack: "pgd".into(),
            norm: Some("linf".into()),
            size: Some(4.0),
            steps: Some(5),
            restarts: None,
            loss: None,
            target: None,
            watch: vec!["cnn".into()],
        };
        let mut steps = 0;
        let end = live.attack(&request, &mut |_| steps += 1, &|| false).unwrap();
        assert!(steps > 1 && end.linf <= 4.0);
        let png = to_png(&end.picture).unwrap();
        assert!(saved.contains(&png), "image {index} is not among those that the command saved");
        assert_eq!(live.answer("vit", &end.image).unwrap().top[0].class, end.answer.class);
        assert_eq!(live.image(&end.image).unwrap().label, live.image(&id(index)).unwrap().label);
        assert_eq!(end.success, end.models["vit"].fooled);
        compared += 1;
    }
    assert!(compared >= 3, "{compared} images were right without an attack");
}

#[test]
fn a_head_switched_off_costs_what_ablate_says() {
    let live = live();
    let opened = opened("vit");
    let (indices, labels) = (opened.indices.clone(), opened.labels().unwrap());
    let found = session().ablate(&opened, &AblationOptions::default()).unwrap().findings;
    assert_eq!(found.ranking.len(), 12);
    for of in found.ranking.iter().take(4) {
        let (layer, head) = (of.layer + 1, of.head + 1);
        let cost = |(&index, &label): (&usize, &usize)| {
            let text = format!(
                r#"{{"image":"{}","off":[{{"layer":{layer},"part":"head","head":{head},"by":"zero"}}]}}"#,
                id(index)
            );
            let about = live.intervene("vit", &serde_json::from_str(&text).unwrap()).unwrap().about;
            let loss = |when: &str| -about[when]["probabilities"][label].as_f64().unwrap().ln();
            loss("after") - loss("before")
        };
        let mean = indices.iter().zip(&labels).map(cost).sum::<f64>() / indices.len() as f64;
        assert!(
            (mean - of.zero.value).abs() < 1e-4,
            "head {head} of layer {layer}: {mean}, {}",
            of.zero.value
        );
    }
}

fn pngs(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pngs(&path));
        } else if path.extension().is_some_and(|end| end == "png") {
            found.push(std::fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn rows_rollout_and_depth_are_read_from_one_pass() {
    let live = live();
    let whole = live.matrices("vit", "d3").unwrap();
    let Numbers::F16(values) = &whole.arrays[0].numbers else { panic!("{whole:?}") };
    assert_eq!(whole.arrays[0].shape, [4, 3, 65, 65]);
    // The row of the patch in row 2 and column 4 in head 2 of layer 3, without the class token.
    let rows = live.rows("vit", "d3", Some([0.3, 0.55])).unwrap();
    let token = 1 + 2 * 8 + 4;
    let row = &values[((2 * 3 + 1) * 65 + token) * 65..][..65];
    assert_eq!(map(&rows, "layer_3")[64..128], row[1..]);
    assert_eq!(map(&rows, "prefix_3")[1], row[0]);

    let usual = live.rollout("vit", "d3", &RolloutRequest::default()).unwrap();
    assert_eq!(map(&usual, "map"), map(&live.explain("vit", "d3", "rollout", None).unwrap(), "map"));

    // The lens after the last layer is the model's own answer where the head reads.
    let depth = live.depth("vit", "d3", None).unwrap();
    let last = &depth.about["layers"][3];
    let answer = live.answer("vit", "d3").unwrap();
    assert_eq!(last["read_out"]["class"], answer.top[0].class);
    assert!((last["read_out"]["probability"].as_f64().unwrap() - answer.top[0].probability).abs() < 1e-5);
    assert_eq!(last["similarity"], 1.0);
}

#[test]
fn a_head_from_the_image_itself_changes_nothing_and_means_are_of_the_data() {
    let live = live();
    let ask = |by: &str| {
        let text =
            format!(r#"{{"image":"d4","off":[{{"layer":2,"part":"head","head":1,"by":{by}}}],"maps":true}}"#);
        let request: InterventionRequest = serde_json::from_str(&text).unwrap();
        live.intervene("vit", &request).unwrap()
    };
    let own = ask(r#"{"image":"d4"}"#);
    assert_eq!(own.about["before"], own.about["after"]);
    assert_eq!(map(&own, "map_before"), map(&own, "map_after"));
    assert_eq!(ask("\"mean\"").about["means"], "mean over 64 images of the data");
    assert_ne!(ask("\"zero\"").about["after"], own.about["before"]);
}

#[test]
fn images_are_known_by_their_pixels() {
    let live = live();
    let picture = Image::filled(50, 40, [10, 200, 30]);
    let added = live.add("green.png", &to_png(&picture).unwrap()).unwrap();
    assert_eq!((added.label, added.width), (None, 50));
    assert_eq!(*live.picture(&added.id).unwrap(), picture);
    assert!(live.image("u0").unwrap_err().to_string().contains("choose or add one"));
    let of_data = live.image("d1").unwrap();
    assert_eq!((of_data.label.as_deref(), of_data.label_index["vit"]), (Some("disc"), Some(0)));
}

#[test]
fn what_cannot_be_opened_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |options: LiveOptions| session().live(&options).err().unwrap().to_string();
    let run = Some(folder.path().to_owned());
    assert!(refused(LiveOptions { run, ..LiveOptions::default() }).contains("holds no investigation"));
    assert!(refused(LiveOptions::default()).contains("no model to look at"));
    let weights = bundled_run().unwrap().join("vit/model.safetensors");
    let twice = vec![(None, ModelSource::new(&weights)), (Some("vit".into()), ModelSource::new(&weights))];
    assert!(
        refused(LiveOptions { models: twice, ..LiveOptions::default() })
            .contains("two models are called vit")
    );
}
