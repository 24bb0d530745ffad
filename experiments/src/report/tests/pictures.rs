//! Pictures for the made-up investigation, so that a report of it can be looked at.

use archaeo_data::Image;
use archaeo_plot::{Grid, enlarge, overlay, to_png};

use super::synthetic::uniform;
use crate::studies::pictures::HEAT;

/// A blob of colour on noise, 32 × 32.
fn image(stream: u64) -> Image {
    let centre = [0, 1].map(|axis| 10.0 + 12.0 * uniform(stream, axis));
    let color = [2, 3, 4].map(|channel| 80.0 + 170.0 * uniform(stream, channel));
    let mut pixels = Vec::new();
    for y in 0..32 {
        for x in 0..32 {
            let inside = (x as f64 - centre[0]).abs() + (y as f64 - centre[1]).abs() < 8.0;
            for (channel, tint) in color.iter().enumerate() {
                let noise = 90.0 * uniform(stream + 1, (y * 32 + x) * 3 + channel);
                pixels.push(if inside { 0.8 * tint + 0.4 * noise } else { noise } as u8);
            }
        }
    }
    Image::new(32, 32, pixels)
}

fn explained(stream: u64) -> Image {
    let values: Vec<f32> = (0..64).map(|i| uniform(stream + 7, i).powi(3) as f32).collect();
    let grid = Grid::new(&values, 8, 8).expect("finite values");
    overlay(&image(stream), &grid, 0.6, &HEAT).expect("an image")
}

/// A picture of one pixel under every name: for tests of the page around it.
pub fn stand_in(_path: &str) -> Option<Vec<u8>> {
    to_png(&Image::filled(1, 1, [90; 3])).ok()
}

/// Bytes of the picture that the made-up investigation names so.
pub fn picture(path: &str) -> Option<Vec<u8>> {
    let name = path.strip_prefix("pictures/")?.strip_suffix(".png")?;
    let stream = name.bytes().map(u64::from).sum::<u64>() * 97;
    let drawn = if name.contains("-image-") { image(stream) } else { explained(stream) };
    to_png(&enlarge(&drawn, 5).expect("a picture")).ok()
}
