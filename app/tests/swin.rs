//! A Swin Transformer under every command that asks about attention.

mod support;

use support::{CONFIG, SHERDS, archaeo, investigation, json, succeed};

#[test]
fn a_swin_transformer_can_be_trained_questioned_and_investigated() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tiny-swin.toml");
    succeed(&mut archaeo(["train", "--config", config, "--data", SHERDS, "--out", &path("run")]));
    let weights = path("run/model.safetensors");
    let ask = |command: &str, more: &[&str]| {
        let arguments = [&[command, "--weights", &weights, "--data", SHERDS, "--limit", "8"], more].concat();
        json(&mut archaeo(arguments))
    };

    assert_eq!(ask("evaluate", &[])["n"], 8);
    assert_eq!(ask("attack", &["--steps", "2"])["n"], 8);
    assert_eq!(ask("ablate", &[])["ranking"].as_array().unwrap().len(), 2 * 2 + 2 * 4);
    let export = path("attention.safetensors");
    let found = ask("attention", &["--export", &export]);
    let heads: Vec<usize> = found["attention_distance"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer.as_array().unwrap().len())
        .collect();
    assert_eq!(heads, [2, 2, 4, 4]);
    assert!(found["class_token_mass"].is_null(), "there is no class token, which is not a mass of 0");
    assert_eq!(found["read_out"], "the mean of all patches");
    let said = succeed(&mut archaeo(["attention", "--weights", &weights, "--data", SHERDS, "--limit", "2"]));
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("layer  1 ") && said.contains("layer  4 ") && !said.contains("layer  0"), "{said}");
    let (arrays, _) = archaeo_models::read_arrays(std::path::Path::new(&export)).unwrap();
    assert_eq!(arrays["rollout"].shape, [8, 8, 8]);
    assert_eq!(arrays["attention_entropy"].shape, [4, 4]);
    let missing = arrays["attention_entropy"].values.iter().map(|value| value.is_nan());
    let expected = [false, false, true, true].repeat(2).into_iter().chain([false; 8]);
    assert!(missing.eq(expected));

    let out = folder.path().join("out");
    let mut command = archaeo(["excavate", "--config", CONFIG, "--data", SHERDS, "--vit", &weights, "--out"]);
    succeed(command.arg(&out));
    assert_eq!(investigation(&out)["heads"]["vit"]["ranking"].as_array().unwrap().len(), 12);
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("the Swin") && !report.contains("the ViT"), "{report}");
}
