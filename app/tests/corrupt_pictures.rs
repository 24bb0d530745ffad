//! `archaeo corrupt`: pictures, and patches that change places or are gone.

mod support;

use std::fs;

use archaeo_data::decode;
use support::{SHERDS, VIT_CONFIG, archaeo, fail, json, succeed};
use tempfile::TempDir;

#[test]
fn pictures_show_what_was_found() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    let mut train =
        archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1", "--out"]);
    succeed(train.arg(&run));
    let out = folder.path().join("out");
    let ask = |kinds: &str| {
        let mut asked = archaeo([
            "corrupt",
            "--data",
            SHERDS,
            "--limit",
            "8",
            "--severity",
            "1,5",
            "--corruption",
            kinds,
        ]);
        asked.arg("--weights").arg(run.join("model.safetensors"));
        asked
    };
    let result = json(ask("fog,patch-shuffle,patch-drop").arg("--out").arg(&out));
    let names: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(
        names,
        ["corruptions.png", "severity-mean.svg", "severity-patches.svg", "severity-weather.svg"]
    );
    assert_eq!(result["pictures"].as_array().unwrap().len(), 4);
    let charts = ["mean", "patches", "weather"];
    let charts = charts.map(|name| fs::read_to_string(out.join(format!("severity-{name}.svg"))).unwrap());
    assert!(
        charts[1].contains("patch shuffle")
            && charts[1].contains("patch drop")
            && !charts[1].contains(">fog<")
    );
    assert!(charts[2].contains("fog") && charts.iter().all(|chart| chart.contains("</svg>")));
    // Three rows of three pictures of 112 px, twice as large.
    let sheet = decode(&fs::read(out.join("corruptions.png")).unwrap()).unwrap();
    assert!(sheet.width() > 3 * 224 && sheet.width() < 4 * 260 && sheet.height() > 3 * 224);
    assert_eq!(result["corruptions"].as_array().unwrap().len(), 3);

    let inside = fail(ask("fog").arg("--out").arg(out.join("severity-mean.svg/deeper")));
    assert!(inside.contains("severity-mean.svg"), "{inside}");
}
