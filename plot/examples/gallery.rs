//! Every chart and picture of this crate on one page, to look at after a change:
//! `cargo run -p archaeo-plot --example gallery -- FOLDER` writes `FOLDER/gallery.html` and `FOLDER/sheet.png`.

use std::fs;
use std::path::PathBuf;

use archaeo_plot::*;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: gallery FOLDER")?);
    fs::create_dir_all(&folder)?;
    let charts = [
        robustness()?,
        accuracy()?,
        differences()?,
        heads()?,
        confusions()?,
        effects_by_head()?,
        distances()?,
        attention_distances()?,
        one_distribution()?,
        agreement()?,
    ];
    let figures: String = charts.iter().map(|chart| format!("<figure>{chart}</figure>\n")).collect();
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Charts</title><style>{THEME_CSS}body{{background:var(--chart-paper);color:#1b1f24;margin:1rem;\
         display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:2rem 3rem}}\
         @media(prefers-color-scheme:dark){{body{{color:#e4e7eb}}}}\
         figure{{margin:0;max-width:34rem}}</style>\n{figures}</html>\n"
    );
    fs::write(folder.join("gallery.html"), page)?;
    save_png(&sheet()?, &folder.join("sheet.png"))?;
    Ok(())
}

/// A smooth stand-in for noise, so that the page is the same every time.
fn wave(i: usize) -> f64 {
    (i as f64 * 1.7).sin() * (i as f64 * 0.37 + 1.0).cos()
}

fn measure(value: f64, half_width: f64) -> Measure {
    Measure { value, interval: Some((value - half_width, value + half_width)) }
}

fn robustness() -> Result<String> {
    let curve = |name: &str, steep: f64, noise: f64| LineSeries {
        name: name.into(),
        points: (0..9)
            .map(|i| {
                let y = 0.92 * (-steep * i as f64).exp();
                Point { x: i as f64, y, interval: Some(((y - noise).max(0.0), (y + noise).min(1.0))) }
            })
            .collect(),
    };
    line_chart(&LineChart {
        title: "Accuracy under attack".into(),
        description: "Accuracy of two models falls with epsilon; PGD lowers it faster than FGSM.".into(),
        x: Axis::new("ε (in 1/255)", Scale::Linear),
        y: Axis::new("accuracy on 1,000 test images", Scale::Percent).including(0.0, 1.0),
        series: vec![
            curve("ViT, FGSM", 0.12, 0.03),
            curve("ViT, PGD", 0.4, 0.025),
            curve("ResNet, FGSM", 0.14, 0.03),
            curve("ResNet, PGD", 0.55, 0.02),
        ],
        uncertainty: Uncertainty::Band,
    })
}

fn accuracy() -> Result<String> {
    bar_chart(&BarChart {
        title: "Accuracy by test split".into(),
        description: "Accuracy of both models on three splits with 95 % Wilson intervals.".into(),
        value: Axis::new("accuracy", Scale::Percent).including(0.0, 1.0),
        categories: vec!["test".into(), "aligned".into(), "conflict (texture of another class)".into()],
        series: vec![
            BarSeries {
                name: "ViT".into(),
                bars: vec![
                    Some(measure(0.834, 0.02)),
                    Some(measure(0.961, 0.01)),
                    Some(measure(0.612, 0.03)),
                ],
            },
            BarSeries {
                name: "ResNet".into(),
                bars: vec![
                    Some(measure(0.925, 0.015)),
                    Some(measure(0.982, 0.008)),
                    Some(measure(0.803, 0.025)),
                ],
            },
        ],
    })
}

fn differences() -> Result<String> {
    let row = |label: &str, value: f64, half: f64, series| DotRow {
        label: label.into(),
        measure: measure(value, half),
        series,
    };
    dot_interval_chart(&DotIntervalChart {
        title: "ViT minus ResNet".into(),
        description: "Paired bootstrap differences in accuracy with 95 % intervals.".into(),
        value: Axis::new("difference in accuracy", Scale::Percent),
        rows: vec![
            row("test", -0.091, 0.021, 0),
            row("aligned", -0.008, 0.012, 0),
            row("conflict, the texture of another class", -0.19, 0.03, 0),
            row("after PGD, ε 4/255", 0.042, 0.02, 1),
        ],
        reference: Some((0.0, "no difference".into())),
    })
}

fn heads() -> Result<String> {
    matrix_chart(&MatrixChart {
        title: "Attention distance of every head".into(),
        description: "Mean attention distance grows with depth.".into(),
        row_label: "layer".into(),
        column_label: "head".into(),
        value_label: "mean distance (pixels)".into(),
        rows: (1..=12).map(|i| i.to_string()).collect(),
        columns: (1..=12).map(|i| i.to_string()).collect(),
        values: (0..144).map(|i| (i != 40).then(|| 20.0 + 6.0 * (i / 12) as f64 + 12.0 * wave(i))).collect(),
        format: ValueFormat::Decimals(0),
        range: None,
    })
}

fn confusions() -> Result<String> {
    let classes =
        ["circle", "square", "triangle", "star", "cross", "ring", "crescent", "heart", "hexagon", "arrow"];
    matrix_chart(&MatrixChart {
        title: "Confusions of the ViT".into(),
        description: "Row-normalised confusion matrix; most mistakes are between circle and ring.".into(),
        row_label: "true class".into(),
        column_label: "predicted class".into(),
        value_label: "share of the true class".into(),
        rows: classes.iter().map(|c| c.to_string()).collect(),
        columns: classes.iter().map(|c| c.to_string()).collect(),
        values: (0..100)
            .map(|i| Some(if i / 10 == i % 10 { 0.78 + 0.15 * wave(i).abs() } else { 0.04 * wave(i).abs() }))
            .collect(),
        format: ValueFormat::Percent(0),
        range: Some((0.0, 1.0)),
    })
}

fn effects_by_head() -> Result<String> {
    matrix_chart(&MatrixChart {
        title: "Change in accuracy when one head is replaced by its mean".into(),
        description: "Most heads hardly matter.".into(),
        row_label: "layer".into(),
        column_label: "head".into(),
        value_label: "change in accuracy".into(),
        rows: (1..=4).map(|i| i.to_string()).collect(),
        columns: ["a", "b", "c"].map(String::from).to_vec(),
        values: (0..12).map(|i| Some(0.06 * wave(i * 3))).collect(),
        format: ValueFormat::Percent(1),
        range: None,
    })
}

fn distances() -> Result<String> {
    let group = |name: &str, shift: f64, n: usize| HistogramGroup {
        name: name.into(),
        values: (0..n)
            .map(|i| (0.5 + shift + 0.2 * wave(i) + 0.15 * wave(i * 7 + 3)).clamp(0.0, 1.0))
            .collect(),
    };
    histogram(&Histogram {
        title: "Share of the heatmap inside the object".into(),
        description: "Rollout lies inside more often than a random heatmap.".into(),
        x: Axis::new("mass inside the mask", Scale::Percent).including(0.0, 1.0),
        bins: 25,
        groups: vec![
            group("rollout", 0.15, 600),
            group("Grad-CAM", 0.0, 500),
            group("random heatmap", -0.25, 400),
        ],
    })
}

fn one_distribution() -> Result<String> {
    histogram(&Histogram {
        title: "Confidence of the ViT on its mistakes".into(),
        description: "Half of the mistakes are made with a confidence above 60 %.".into(),
        x: Axis::new("confidence", Scale::Percent).including(0.0, 1.0),
        bins: 20,
        groups: vec![HistogramGroup {
            name: "mistakes".into(),
            values: (0..300).map(|i| (0.6 + 0.4 * wave(i)).clamp(0.0, 1.0)).collect(),
        }],
    })
}

fn attention_distances() -> Result<String> {
    line_chart(&LineChart {
        title: "Training loss".into(),
        description: "Both losses fall.".into(),
        x: Axis::new("images seen", Scale::Log10),
        y: Axis::new("cross-entropy (nats)", Scale::Log10),
        series: ["ViT with a class token", "ResNet"]
            .iter()
            .enumerate()
            .map(|(s, name)| LineSeries {
                name: name.to_string(),
                points: (0..40)
                    .map(|i| {
                        let x = 1000.0 * 1.15f64.powi(i);
                        let y = 2.3 * (x / 1000.0).powf(-0.5 - 0.02 * s as f64) + 0.02;
                        Point { x, y, interval: None }
                    })
                    .collect(),
            })
            .collect(),
        uncertainty: Uncertainty::Whiskers,
    })
}

fn agreement() -> Result<String> {
    let cloud = |name: &str, s: usize| ScatterSeries {
        name: name.into(),
        points: (0..40)
            .map(|i| (0.5 + 0.4 * wave(i + s), 0.5 + 0.35 * wave(i + s) + 0.1 * wave(i * 5 + s)))
            .collect(),
    };
    scatter(&Scatter {
        title: "Head importance by two methods".into(),
        description: "Gradient and ablation importance agree.".into(),
        x: Axis::new("gradient of the gate (normalised)", Scale::Linear),
        y: Axis::new("mean ablation (normalised)", Scale::Linear),
        series: vec![cloud("layers 1–4", 0), cloud("layers 5–8", 50), cloud("layers 9–12", 90)],
        identity: true,
    })
}

fn sheet() -> Result<Image> {
    let picture = |k: usize| {
        let pixels = (0..32 * 32).flat_map(|i| {
            let (x, y) = ((i % 32) as f64 - 16.0, (i / 32) as f64 - 14.0 - k as f64);
            let inside = x * x + y * y < 90.0;
            let v = 120.0 + 60.0 * wave(i + 31 * k);
            if inside { [220, 90 + (20 * k) as u8, 40] } else { [v as u8, (v * 0.9) as u8, (v * 0.8) as u8] }
        });
        Image::new(32, 32, pixels.collect())
    };
    let mut cells = Vec::new();
    for k in 0..3 {
        let input = enlarge(&picture(k), 7)?;
        let values: Vec<f32> = (0..64)
            .map(|i| {
                let (x, y) = ((i % 8) as f32 - 3.5, (i / 8) as f32 - 3.3 - k as f32 * 0.25);
                (-(x * x + y * y) / 5.0).exp() + 0.1 * wave(i) as f32
            })
            .collect();
        let grid = Grid::new(&values, 8, 8)?;
        let heat = overlay(&input, &grid, 0.55, &HeatmapStyle::default())?;
        let cells_only = HeatmapStyle {
            colormap: Colormap::Viridis,
            upsampling: Upsampling::Nearest,
            ..HeatmapStyle::default()
        };
        let signed = HeatmapStyle { colormap: Colormap::BlueRed, range: Range::Symmetric, ..cells_only };
        let centred: Vec<f32> = values.iter().map(|v| v - 0.4).collect();
        cells.push(Cell { picture: picture(k), caption: format!("#{k} circle\nViT: circle 0.9{k}") });
        cells.push(Cell { picture: heat, caption: "mass in mask 0.71\nan explanation that runs on".into() });
        cells.push(Cell { picture: heatmap(&grid, 224, 224, &cells_only)?, caption: "8×8 cells".into() });
        let signed = heatmap(&Grid::new(&centred, 8, 8)?, 224, 224, &signed)?;
        cells.push(Cell { picture: signed, caption: "ε = 4/255".into() });
    }
    let headings = ["input", "rollout", "attention", "signed"].map(String::from).to_vec();
    contact_sheet(&cells, &SheetLayout { columns: 4, headings, ..SheetLayout::default() })
}
