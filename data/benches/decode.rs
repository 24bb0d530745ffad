//! How long it takes to decode JPEG files, next to the decoder of the `image` crate (zune-jpeg), which is faster but decodes to
//! different pixels: `cargo bench --bench decode -- FOLDER …`.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use archaeo_data::decode;

/// Rounds in which the decoders take turns on all files; the fastest counts.
const ROUNDS: usize = 7;

fn main() {
    let folders: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    for folder in folders {
        let mut paths: Vec<_> = std::fs::read_dir(Path::new(&folder))
            .expect("a folder")
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "jpg" || end == "jpeg"))
            .collect();
        paths.sort();
        let files: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).expect("readable")).collect();
        let pixels: usize = files.iter().map(|file| decode(file).expect("a JPEG").pixels().len() / 3).sum();
        let ours = |file: &[u8]| decode(file).expect("a JPEG").into_pixels();
        let theirs = |file: &[u8]| {
            let picture =
                image::load_from_memory_with_format(file, image::ImageFormat::Jpeg).expect("a JPEG");
            picture.into_rgb8().into_raw()
        };
        let [ours, theirs] = fastest([&ours, &theirs], &files);
        let each = 1e3 / files.len() as f64;
        println!(
            "{folder}: {} files of {} pixels; {:.3} ms each ({:.0} megapixels a second), with zune-jpeg {:.3} ms ({:.0}); {:.2} times \
             as long",
            files.len(),
            pixels / files.len(),
            ours * each,
            pixels as f64 / ours / 1e6,
            theirs * each,
            pixels as f64 / theirs / 1e6,
            ours / theirs
        );
    }
}

type Decoder<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// Seconds per decoder for all files.
fn fastest(decoders: [Decoder; 2], files: &[Vec<u8>]) -> [f64; 2] {
    let mut best = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (decoder, best) in decoders.iter().zip(&mut best) {
            let start = Instant::now();
            files.iter().for_each(|file| drop(black_box(decoder(file))));
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    best
}
