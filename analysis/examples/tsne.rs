//! Time of a t-SNE picture of features: `cargo run --release --example tsne -- FEATURES WIDTH POINTS`, where FEATURES holds 32-bit floats
//! row by row and POINTS receives the points, 64-bit floats. `bench/tsne.py` runs it next to other programs.

use std::time::Instant;

use archaeo_analysis::features::{Features, PERPLEXITY, tsne};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [features, width, points] = arguments.as_slice() else { panic!("usage: FEATURES WIDTH POINTS") };
    let bytes = std::fs::read(features).expect("the features are there");
    let values = bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let features = Features::new(width.parse().expect("the width is a number"), values);
    let started = Instant::now();
    let found = tsne(&features, PERPLEXITY, &mut || true).expect("the features are finite");
    let seconds = started.elapsed().as_secs_f64();
    let found = found.expect("nothing stops it");
    let bytes: Vec<u8> = found.points.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(points, bytes).expect("the points can be written");
    println!("{{\"seconds\": {seconds}, \"divergence\": {}}}", found.divergence);
}
