//! Published architectures in full size with random weights, compared with timm and torchvision in double precision. Their
//! fixtures are too large to be kept: `fixtures/make_full_size.py` makes them and says how this test is run.

mod common;

use archaeo_models::NetworkSpec;
use common::{Fixture, card, differences_from_library};

#[test]
#[ignore = "needs the files that fixtures/make_full_size.py makes"]
fn full_size_models_agree_with_their_libraries() {
    let folder =
        std::env::var("ARCHAEO_FULL_SIZE").expect("ARCHAEO_FULL_SIZE names the folder of the fixtures");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    println!("| model | logits | blocks | attention | gradient |\n|---|---|---|---|---|");
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let fixture = Fixture::read_from(&path);
        let classes = if name.contains("dinov2") { 0 } else { fixture.array("logits").shape[1] };
        let network = NetworkSpec::named(name, classes, 224).unwrap();
        let differences = differences_from_library(&fixture, card(network, 224));
        let cells = differences.map(|(_, difference)| format!("{difference:.1e}"));
        println!("| {name} | {} |", cells.join(" | "));
        for (what, difference) in differences {
            assert!(difference <= 1e-4, "{name}: {what} differs by {difference:e} of its largest value");
        }
    }
}
