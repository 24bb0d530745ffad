//! An EfficientViT under every command that asks about attention, and its heads taken away at both points.

mod support;

use support::{CONFIG, SHERDS, archaeo, investigation, json, succeed};

#[test]
fn an_efficientvit_can_be_trained_questioned_and_investigated() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tiny-efficientvit.toml");
    succeed(&mut archaeo(["train", "--config", config, "--data", SHERDS, "--out", &path("run")]));
    let weights = path("run/model.safetensors");
    let ask = |command: &str, more: &[&str]| {
        let arguments = [&[command, "--weights", &weights, "--data", SHERDS, "--limit", "8"], more].concat();
        json(&mut archaeo(arguments))
    };
    assert_eq!(ask("evaluate", &[])["n"], 8);
    assert_eq!(ask("attack", &["--steps", "2"])["n"], 8);

    for point in ["output", "contribution"] {
        let found = ask("ablate", &["--removal", point, "--mlp", "--layers", "--curve", "--pairs", "2"]);
        assert_eq!(found["removal"], point);
        assert_eq!(found["ranking"].as_array().unwrap().len(), 2 + 3);
        assert_eq!(found["together"]["branches"].as_array().unwrap().len(), 2 * 2);
    }
    assert_eq!(ask("ablate", &[])["removal"], "output");
    let export = path("attention.safetensors");
    let found = ask("attention", &["--export", &export]);
    assert_eq!(found["read_out"], "the mean of all patches");
    let (arrays, _) = archaeo_models::read_arrays(std::path::Path::new(&export)).unwrap();
    assert_eq!(arrays["attention_entropy"].shape, [2, 3]);
    assert_eq!(arrays["grad_cam"].shape, [8, 2, 2]);
    let rollout =
        ["attention", "--weights", &weights, "--data", SHERDS, "--limit", "2", "--method", "rollout"];
    let refused = archaeo(rollout).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("by convolutions between its attention layers"),
        "{said}"
    );

    let out = folder.path().join("out");
    let mut command = archaeo(["excavate", "--config", CONFIG, "--data", SHERDS, "--vit", &weights, "--out"]);
    succeed(command.arg(&out));
    let heads = &investigation(&out)["heads"]["vit"];
    assert_eq!((heads["ranking"].as_array().unwrap().len(), &heads["removal"]), (5, &"output".into()));
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("Its heads form a cascade"), "{report}");
    assert!(report.contains("Attention is not followed through the layers of this model"), "{report}");
}
