//! Cards of findings made up for the report's tests: the metadata parse strictly, and every number is the findings'.

use serde_yaml_ng::Value;

use super::*;
use crate::findings::Investigation;
use crate::report::tests::synthetic::{cnn, findings, investigation, vit};
use crate::studies::{AccuracyStudy, AttacksStudy, TrustStudy};

fn known(found: &Investigation, name: ModelName) -> Known<'_> {
    let model = found.model(name).expect("it is investigated");
    Known {
        card: &model.card,
        parameters: model.parameters,
        weights_sha256: Some(&model.weights_sha256),
        training: None,
        environment: None,
        investigation: Some((found, name)),
        license: None,
    }
}

/// The metadata and the text.
fn parts(card: &str) -> (Value, &str) {
    let (matter, text) = card.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
    (serde_yaml_ng::from_str(matter).unwrap_or_else(|error| panic!("{error}\n{matter}")), text)
}

#[test]
fn metadata_are_those_of_the_hub_and_hold_the_numbers_of_the_findings() {
    let mut found = investigation();
    found.data.name = "scans: \"old\" # 1".into();
    let accuracy = findings::<AccuracyStudy>(&found);
    for name in [vit(), cnn()] {
        let mut known = known(&found, name);
        known.license = Some("mit");
        let card = model_card(&known).unwrap();
        let (matter, _) = parts(&card);
        assert_eq!(matter["license"], "mit");
        assert_eq!(matter["pipeline_tag"], "image-classification");
        assert_eq!(matter["metrics"][0], "accuracy");
        let tags = matter["tags"].as_sequence().unwrap();
        assert_eq!(tags.contains(&"vision-transformer".into()), name == vit());
        let index = &matter["model-index"][0];
        assert_eq!(index["name"].as_str(), Some(known.card.name.as_str()));
        let results = index["results"].as_sequence().unwrap();
        assert_eq!(results.len(), accuracy.splits.len());
        for (result, split) in results.iter().zip(&accuracy.splits) {
            assert_eq!(result["dataset"]["name"], "scans: \"old\" # 1");
            assert_eq!(result["dataset"]["split"].as_str(), Some(split.split.as_str()));
            let scores = &split.models[name];
            let metrics = result["metrics"].as_sequence().unwrap();
            let value = |kind: &str| {
                let found = metrics.iter().find(|metric| metric["type"] == kind).expect("it is there");
                found["value"].as_f64().unwrap()
            };
            assert_eq!(value("accuracy").to_bits(), scores.top1.value.to_bits());
            assert_eq!(value("nll").to_bits(), scores.nll.value.to_bits());
            assert_eq!(value("ece").to_bits(), scores.ece.value.to_bits());
            assert_eq!(metrics[0]["args"]["low"].as_f64(), Some(scores.top1.low));
            assert_eq!(metrics[0]["args"]["images"].as_u64(), Some(scores.top1.n as u64));
        }
    }
}

#[test]
fn the_text_follows_the_findings() {
    let found = investigation();
    let text_of = |found: &Investigation| model_card(&known(found, vit())).unwrap();
    let text = text_of(&found);
    for heading in [
        "Intended use",
        "Training data",
        "Training procedure",
        "Measured performance",
        "Robustness",
        "Limits",
        "How to reproduce it",
    ] {
        assert!(text.contains(&format!("## {heading}\n")), "{heading} is missing in\n{text}");
    }
    for class in &found.data.classes {
        assert!(text.contains(class.as_str()), "{class}");
    }
    let mut changed = found.clone();
    crate::report::tests::synthetic::change::<AttacksStudy>(&mut changed, |attacks| {
        for curve in attacks.curves.iter_mut().filter(|curve| curve.model == vit()) {
            curve.points.last_mut().unwrap().accuracy.value = 0.123_456;
        }
    });
    assert!(
        !text.contains("12.3") && text_of(&changed).contains("12.3"),
        "robustness is that of the findings"
    );
    crate::report::tests::synthetic::change::<TrustStudy>(&mut changed, |trust| {
        trust.models.values_mut().for_each(|trust| trust.confident.errors = 7_777);
    });
    assert!(
        text_of(&changed).contains("7,777") || text_of(&changed).contains("7\u{a0}777"),
        "{}",
        text_of(&changed)
    );
}

#[test]
fn what_is_not_known_is_not_said() {
    let found = investigation();
    let known = Known { investigation: None, weights_sha256: None, ..known(&found, vit()) };
    let card = model_card(&known).unwrap();
    let (matter, text) = parts(&card);
    assert!(matter.get("model-index").is_none() && matter["license"] == "unknown", "{matter:?}");
    assert!(text.contains("How it was trained is not known here."), "{text}");
    assert!(!text.contains("Measured performance") && !text.contains("Robustness"), "{text}");
}

#[test]
fn only_a_card_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("README.md");
    assert!(is_ours(&path));
    let found = investigation();
    archaeo_store::write(&path, model_card(&known(&found, cnn())).unwrap().as_bytes()).unwrap();
    assert!(is_ours(&path));
    archaeo_store::write(&path, b"# My notes\n").unwrap();
    assert!(!is_ours(&path));
}
