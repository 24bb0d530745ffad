//! Trains attention to reverse sequences in three ways, prints the losses and draws what each attends to.
//!
//! ```text
//! cargo run --release --package archaeo-training --example reverse_sequence [PICTURE.png]
//! ```

mod task;

use std::error::Error;
use std::path::PathBuf;

use archaeo_plot::{
    Cell, Colormap, Grid, HeatmapStyle, Range, SheetLayout, Upsampling, contact_sheet, heatmap, save_png,
};
use task::{LENGTH, Numbers, Positions, train};

fn main() -> Result<(), Box<dyn Error>> {
    let picture = std::env::args_os().nth(1).map_or_else(|| "reverse_sequence.png".into(), PathBuf::from);
    let variants = [
        ("no positions", Positions::None),
        ("on queries and keys", Positions::QueriesAndKeys),
        ("on values too", Positions::Everywhere),
    ];
    let style = HeatmapStyle {
        colormap: Colormap::Inferno,
        range: Range::Fixed(0.0, 1.0),
        upsampling: Upsampling::Nearest,
    };
    println!("{:<22}{:>14}{:>15}", "positions", "normal input", "uniform input");
    let mut cells = Vec::new();
    for (name, positions) in variants {
        let normal = train(positions, Numbers::Normal, 0);
        let uniform = train(positions, Numbers::Uniform, 0);
        println!("{name:<22}{:>14.4}{:>15.4}", normal.loss, uniform.loss);
        let grid = Grid::new(&normal.attention, LENGTH, LENGTH)?;
        cells.push(Cell {
            picture: heatmap(&grid, 16 * LENGTH, 16 * LENGTH, &style)?,
            caption: format!("{name}\nloss {:.4}", normal.loss),
        });
    }
    let layout = SheetLayout { columns: variants.len(), cell: 16 * LENGTH, ..SheetLayout::default() };
    save_png(&contact_sheet(&cells, &layout)?, &picture)?;
    eprintln!("attention weights (rows are queries, columns are keys) drawn to {}", picture.display());
    Ok(())
}
