use super::*;

const PHOTO: [u8; 3] = [10, 200, 90];

fn photo() -> Image {
    Image::filled(100, 50, PHOTO)
}

fn figure<'a>(photo: &'a Image, values: &'a [f32], [rows, columns]: [usize; 2], opacity: f32) -> Figure<'a> {
    let heat = Heat {
        grid: Grid::new(values, rows, columns).unwrap(),
        colormap: Colormap::Inferno,
        range: [0.0, 1.0],
        opacity,
    };
    let panel = |title: &str, heat| Panel {
        title: title.into(),
        note: String::new(),
        picture: photo,
        heat,
        axes: None,
    };
    Figure {
        title: "A & B".into(),
        lines: vec!["a line".into()],
        panels: vec![panel("input", None), panel("layer 1", Some(heat))],
        columns: 2,
        side: 200,
        bars: Bars::Shared("attention weight".into()),
    }
}

/// The rectangles of an SVG: place, size and colour within their group.
fn rectangles(svg: &str) -> Vec<(usize, usize, usize, &str)> {
    let inside = svg.split("crispEdges\">").nth(1).unwrap().split("</g>").next().unwrap();
    inside
        .lines()
        .filter(|line| line.starts_with("<rect"))
        .map(|line| {
            let of =
                |name: &str| line.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap();
            (of("x").parse().unwrap(), of("y").parse().unwrap(), of("width").parse().unwrap(), of("fill"))
        })
        .collect()
}

#[test]
fn both_drawings_have_each_cell_in_its_place() {
    // Not square, so that swapped axes show.
    let values = [0.0, 0.25, 0.5, 1.0, 1.0, 0.75];
    let photo = photo();
    let figure = figure(&photo, &values, [2, 3], 1.0);
    let svg = figure.to_svg().unwrap();
    let hex = |value: f32| {
        let [red, green, blue] = Colormap::Inferno.color(value);
        format!("#{red:02x}{green:02x}{blue:02x}")
    };
    let colors = [0.0, 0.25, 0.5, 1.0, 0.75].map(hex);
    let expected: Vec<_> = [(0, 0, 1), (1, 0, 1), (2, 0, 1), (0, 1, 2), (2, 1, 1)]
        .into_iter()
        .zip(&colors)
        .map(|((x, y, width), color)| (x, y, width, color.as_str()))
        .collect();
    assert_eq!(rectangles(&svg), expected);

    let translated = svg.split("<g transform=\"translate(").nth(1).unwrap();
    let place: Vec<usize> =
        translated.split(')').next().unwrap().split(' ').map(|length| length.parse().unwrap()).collect();
    let image = figure.to_image().unwrap();
    // The panel is 200 × 100: cells of 66.7 × 50.
    for (cell, &value) in values.iter().enumerate() {
        let x = place[0] as f64 + (cell % 3) as f64 * 200.0 / 3.0 + 30.0;
        let y = place[1] + cell / 3 * 50 + 25;
        assert_eq!(image.pixel(2 * x as usize, 2 * y), Colormap::Inferno.color(value), "cell {cell}");
    }
    assert_eq!(image.pixel(2 * (place[0] - 212 + 100), 2 * (place[1] + 50)), PHOTO, "the panel before it");
    let size = format!("width=\"{}\" height=\"{}\"", image.width() / 2, image.height() / 2);
    assert!(svg.contains(&size), "{size}");
}

#[test]
fn an_svg_holds_text_as_text_and_each_picture_once() {
    let photo = photo();
    let svg = figure(&photo, &[0.5], [1, 1], 0.5).to_svg().unwrap();
    for text in [">A &amp; B</text>", ">layer 1</text>", ">attention</text>", ">0</text>", ">1</text>"] {
        assert!(svg.contains(text), "{text}");
    }
    assert_eq!(svg.matches("data:image/png;base64,").count(), 1);
    assert_eq!(svg.matches("<use ").count(), 2);
    assert!(svg.contains("font-family=\"'DejaVu Sans'") && svg.contains("<linearGradient id=\"inferno-up\""));
    assert!(svg.contains("opacity=\"0.5\""));
    // A heatmap with a value for each pixel is a picture of its own size.
    let values = vec![0.5; 50 * 100];
    let svg = figure(&photo, &values, [50, 100], 0.5).to_svg().unwrap();
    assert_eq!((svg.matches("data:image/png;base64,").count(), svg.matches("<rect").count()), (2, 2));
}

#[test]
fn the_picture_shines_through_as_far_as_it_is_to() {
    let photo = photo();
    let at = |opacity| {
        let image = figure(&photo, &[0.5], [1, 1], opacity).to_image().unwrap();
        image.pixel(2 * (12 + 212 + 100), image.height() - 2 * (12 + 150))
    };
    let color = Colormap::Inferno.color(0.5);
    assert_eq!((at(0.0), at(1.0)), (PHOTO, color));
    let half: Vec<u8> =
        (0..3).map(|c| (0.5 * f32::from(PHOTO[c]) + 0.5 * f32::from(color[c])).round() as u8).collect();
    assert_eq!(at(0.5).to_vec(), half);
}

#[test]
fn rows_and_columns_have_their_names_next_to_them() {
    let photo = photo();
    let named = |rows: usize| {
        let mut figure = figure(&photo, &[0.5; 6], [2, 3], 1.0);
        let numbers = |letter, count| (1..=count).map(|number| format!("{letter}{number}")).collect();
        figure.panels[1].axes = Some(Axes { rows: numbers('r', rows), columns: numbers('c', 3) });
        figure.to_svg().unwrap()
    };
    let place = |svg: &str, text: &str| -> [f64; 2] {
        let line = svg.lines().find(|line| line.ends_with(&format!(">{text}</text>"))).unwrap();
        ["x", "y"].map(|axis| {
            let start = line.split(&format!(" {axis}=\"")).nth(1).unwrap();
            start.split('"').next().unwrap().parse().unwrap()
        })
    };
    let svg = named(2);
    let heat = svg.split("<g transform=\"translate(").nth(1).unwrap().split(')').next().unwrap();
    let heat: Vec<f64> = heat.split(' ').map(|length| length.parse().unwrap()).collect();
    let [first, second] = ["r1", "r2"].map(|name| place(&svg, name));
    assert!(first[0] < heat[0] && second[0] < heat[0] && heat[1] < first[1] && first[1] < second[1]);
    let columns = ["c1", "c2", "c3"].map(|name| place(&svg, name));
    assert!(columns.iter().all(|place| place[1] < heat[1] && place[0] > heat[0]));
    assert!(columns.is_sorted_by(|one, next| one[0] < next[0]));
    // Names that would overlap are left out.
    let crowded = named(100);
    assert!(crowded.contains(">r1<") && !crowded.contains(">r2<") && crowded.matches(">r").count() < 20);
}

#[test]
fn numbers_are_short() {
    for (value, expected) in [
        (0.0, "0"),
        (1.0, "1"),
        (0.123_456, "0.123"),
        (-0.5, "−0.5"),
        (12.345, "12.3"),
        (1234.5, "1234"),
        (0.001_25, "0.00125"),
        (3.2e-6, "3.2e−6"),
        (-2.5e7, "−2.5e7"),
    ] {
        assert_eq!(number(value), expected);
    }
}

#[test]
fn values_beyond_the_scale_are_said_to_be_there() {
    let photo = photo();
    let ends = |values: &[f32], bars: Bars| {
        let svg = Figure { bars, ..figure(&photo, values, [1, 2], 0.5) }.to_svg().unwrap();
        [svg.contains(">≤ 0</text>"), svg.contains(">≥ 1</text>")]
    };
    for bars in [Bars::Each, Bars::Shared("weight".into())] {
        assert_eq!(ends(&[0.0, 1.0], bars.clone()), [false, false]);
        assert_eq!(ends(&[0.5, 1.5], bars.clone()), [false, true]);
        assert_eq!(ends(&[-0.5, 1.5], bars), [true, true]);
    }
}

#[test]
fn a_scale_without_extent_has_one_colour() {
    let grid = Grid::new(&[0.0], 1, 1).unwrap();
    let color = |colormap| Heat { grid, colormap, range: [0.0, 0.0], opacity: 1.0 }.color(0, 0);
    assert_eq!(color(Colormap::Inferno), Colormap::Inferno.color(0.0));
    assert_eq!(color(Colormap::BlueRed), Colormap::BlueRed.color(0.5));
}

#[test]
fn impossible_figures_are_refused() {
    let photo = photo();
    let good = figure(&photo, &[0.5], [1, 1], 0.5);
    for bad in [
        Figure { panels: Vec::new(), ..good.clone() },
        Figure { columns: 0, ..good.clone() },
        Figure { side: 0, ..good.clone() },
        Figure { side: usize::MAX / 8, ..good.clone() },
        figure(&photo, &[0.5], [1, 1], 1.5),
    ] {
        assert!(bad.to_image().is_err());
    }
    let empty = Image::new(0, 0, Vec::new());
    assert!(figure(&empty, &[0.5], [1, 1], 0.5).to_svg().is_err());
}
