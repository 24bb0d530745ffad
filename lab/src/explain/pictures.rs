//! The pictures of one image: each method, all of them, the layers, the heads.

use archaeo_analysis::attribution::{Heatmap, Kind, MethodInfo};
use archaeo_plot::{Bars, Colormap, Figure, Grid, Heat, Image, Panel, to_png};

use super::{Answer, Exhibit, Explained};
use crate::error::LabError;
use crate::figures::{OPACITY, grey, largest};

/// CSS pixels of the longer side of a picture on its own.
const ALONE: usize = 304;

/// The same of one among others.
const AMONG: usize = 168;

/// Names and contents of the files.
pub(super) fn pictures(explained: &Explained, exhibit: &Exhibit) -> Result<Vec<(String, Vec<u8>)>, LabError> {
    let scene = Scene { explained, exhibit, grey: grey(&exhibit.picture) };
    let mut files = vec![("input.png".to_owned(), to_png(&exhibit.picture)?)];
    let mut add = |name: String, figure: &Figure| -> Result<(), LabError> {
        files.push((format!("{name}.png"), to_png(&figure.to_image()?)?));
        files.push((format!("{name}.svg"), figure.to_svg()?.into_bytes()));
        Ok(())
    };
    for (method, map) in explained.methods.iter().zip(&exhibit.heatmaps) {
        add(format!("method-{}", method.id), &scene.method(method, map)?)?;
    }
    add("methods".into(), &scene.methods()?)?;
    if !exhibit.layers.is_empty() {
        add("layers".into(), &scene.layers()?)?;
    }
    if !exhibit.covered.is_empty() {
        add("counterfactual".into(), &scene.counterfactual())?;
    }
    if let (Some(layer), false) = (explained.layer, exhibit.heads.is_empty()) {
        add(format!("heads-layer-{layer}"), &scene.heads(layer)?)?;
    }
    Ok(files)
}

/// One image and its caption.
struct Scene<'a> {
    explained: &'a Explained,
    exhibit: &'a Exhibit,
    /// The picture below heatmaps: colours are the heatmap's alone.
    grey: Image,
}

impl Scene<'_> {
    fn method<'a>(&'a self, method: &MethodInfo, map: &'a Heatmap) -> Result<Figure<'a>, LabError> {
        Ok(Figure {
            title: capitalised(method.title),
            lines: [
                Some(self.exhibit.found.image.clone()),
                Some(self.explained_class(method)),
                self.explained.rollout.clone().filter(|_| method.id.starts_with("rollout")),
                Some(self.explained.faithfulness.of(method.id)),
            ]
            .into_iter()
            .flatten()
            .collect(),
            panels: vec![self.panel(String::new(), map, scale(method, map))?],
            columns: 1,
            side: ALONE,
            bars: Bars::Each,
        })
    }

    fn methods(&self) -> Result<Figure<'_>, LabError> {
        let mut panels = vec![Panel {
            title: "input".into(),
            note: self
                .exhibit
                .found
                .label
                .as_ref()
                .map_or_else(String::new, |label| format!("label: {label}")),
            picture: &self.exhibit.picture,
            heat: None,
            axes: None,
        }];
        for (method, map) in self.explained.methods.iter().zip(&self.exhibit.heatmaps) {
            let baseline = if method.kind == Kind::Baseline { " (baseline)" } else { "" };
            let panel = self.panel(format!("{}{baseline}", method.title), map, scale(method, map))?;
            panels.push(Panel { note: self.explained.faithfulness.brief(method.id), ..panel });
        }
        let mut lines = Vec::new();
        if let Some(target) = &self.exhibit.found.target {
            lines.push(self.answers());
            lines.push(format!("explained: {}; each method has its own scale", described(target)));
        }
        let faithfulness = &self.explained.faithfulness;
        lines.push(match (&faithfulness.not_measured, faithfulness.metrics.first()) {
            (None, Some(info)) => format!(
                "below each: {} ({} is better) on {} images, and whether it is better than random and than the centre",
                info.title,
                if info.higher_is_better { "higher" } else { "lower" },
                faithfulness.n
            ),
            (reason, _) => {
                format!("faithfulness not measured: {}", reason.as_deref().unwrap_or("no metric applies"))
            }
        });
        Ok(self.several(lines, panels, Bars::Each))
    }

    /// What each method has to cover until the answer changes.
    fn counterfactual(&self) -> Figure<'_> {
        let found = &self.exhibit.found;
        let panels = self.explained.methods.iter().zip(&self.exhibit.covered).map(|(method, picture)| {
            let note = found.counterfactuals.get(method.id).map_or_else(String::new, |flip| {
                let count = format!("{} of {} patches", flip.covered.len(), flip.grid[0] * flip.grid[1]);
                match &flip.after {
                    Some(class) => format!("{count}: {class}"),
                    None => format!("{count}: no change"),
                }
            });
            Panel { title: method.title.into(), note, picture, heat: None, axes: None }
        });
        let explained = found.target.as_ref().map_or_else(String::new, described);
        let lines = vec![
            self.answers(),
            format!(
                "The most relevant patches are covered, as few as it takes until another class than {explained} is named; fewer is \
                 better, and a method that needs as many as random ones has not found what decides"
            ),
        ];
        self.several(lines, panels.collect(), Bars::Each)
    }

    /// One scale for all layers.
    fn layers(&self) -> Result<Figure<'_>, LabError> {
        let maps = &self.exhibit.layers;
        let lines = vec![format!(
            "Attention of {} to each patch, layer by layer, mean over heads",
            self.explained.read_out.unwrap_or("the read tokens")
        )];
        self.compared(lines, maps.iter().zip(1..).map(|(map, number)| (format!("layer {number}"), map)))
    }

    /// One scale for all heads.
    fn heads(&self, layer: usize) -> Result<Figure<'_>, LabError> {
        let lines = vec![format!(
            "Attention of {} to each patch in layer {layer} of {}, head by head",
            self.explained.read_out.unwrap_or("the read tokens"),
            self.exhibit.layers.len()
        )];
        let maps = &self.exhibit.heads;
        self.compared(lines, maps.iter().zip(1..).map(|(map, number)| (format!("head {number}"), map)))
    }

    fn compared<'a>(
        &'a self,
        lines: Vec<String>,
        maps: impl Iterator<Item = (String, &'a Heatmap)> + Clone,
    ) -> Result<Figure<'a>, LabError> {
        let values: Vec<f32> = maps.clone().flat_map(|(_, map)| map.values.iter().copied()).collect();
        let shared = Scale { colormap: Colormap::Inferno, range: [0.0, largest(values)] };
        let panels = maps.map(|(title, map)| self.panel(title, map, shared)).collect::<Result<_, _>>()?;
        Ok(self.several(lines, panels, Bars::Shared("attention weight".into())))
    }

    fn several<'a>(&self, lines: Vec<String>, panels: Vec<Panel<'a>>, bars: Bars) -> Figure<'a> {
        let columns = columns(panels.len());
        Figure { title: self.exhibit.found.image.clone(), lines, panels, columns, side: AMONG, bars }
    }

    fn panel<'a>(&'a self, title: String, map: &'a Heatmap, scale: Scale) -> Result<Panel<'a>, LabError> {
        let Scale { colormap, range } = scale;
        let grid = Grid::new(&map.values, map.height, map.width)?;
        let heat = Heat { grid, colormap, range, opacity: OPACITY };
        Ok(Panel { title, note: String::new(), picture: &self.grey, heat: Some(heat), axes: None })
    }

    /// What the model answers.
    fn answers(&self) -> String {
        let answers: Vec<String> = self.exhibit.found.predictions.iter().map(described).collect();
        format!("{} answers {}", self.explained.model, answers.join(", "))
    }

    /// Which class a method explains.
    fn explained_class(&self, method: &MethodInfo) -> String {
        match &self.exhibit.found.target {
            Some(target) if method.depends_on_class => format!("explained: {}", described(target)),
            _ => "the same for every class".into(),
        }
    }
}

/// Colours, and the values at their ends.
#[derive(Clone, Copy)]
struct Scale {
    colormap: Colormap,
    range: [f32; 2],
}

/// From minus to plus the largest magnitude where the method has signs, else from the smallest to the largest.
fn scale(method: &MethodInfo, map: &Heatmap) -> Scale {
    let lowest = map.values.iter().copied().fold(f32::INFINITY, f32::min);
    if method.signed {
        let end = largest(map.values.iter().map(|value| value.abs()).collect());
        return Scale { colormap: Colormap::BlueRed, range: [-end, end] };
    }
    Scale { colormap: Colormap::Inferno, range: [lowest, largest(map.values.clone())] }
}

/// Pictures in a row, so that the last row is full where that is possible.
fn columns(panels: usize) -> usize {
    match panels {
        ..=6 => panels,
        _ => [6, 5, 4].into_iter().find(|columns| panels.is_multiple_of(*columns)).unwrap_or(6),
    }
}

fn described(answer: &Answer) -> String {
    format!("{} {:.1} %", answer.name, 100.0 * answer.probability)
}

fn capitalised(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use archaeo_analysis::attribution::method;

    use super::*;

    #[test]
    fn a_scale_holds_what_a_heatmap_has() {
        let of_method = |id: &str, values: &[f32]| {
            scale(method(id).unwrap().info(), &Heatmap::new(1, values.len(), values.to_vec()))
        };
        let of = |values: &[f32]| of_method("rollout", values);
        let unsigned = of(&[0.25, 0.5, 2.0]);
        assert_eq!((unsigned.colormap, unsigned.range), (Colormap::Inferno, [0.25, 2.0]));
        let signed = of_method("occlusion", &[-3.0, 0.5, 2.0]);
        assert_eq!((signed.colormap, signed.range), (Colormap::BlueRed, [-3.0, 3.0]));
        // Signs belong to the method, whatever this image has.
        assert_eq!(of_method("occlusion", &[0.5, 2.0]).range, [-2.0, 2.0]);
        // One pixel of many does not decide the scale.
        let mut many = vec![1.0; 2000];
        many[7] = 100.0;
        assert_eq!(of(&many).range, [1.0, 1.0]);
        let mut sparse = vec![0.0; 2000];
        sparse[7] = 100.0;
        assert_eq!(of(&sparse).range, [0.0, 100.0]);
    }

    #[test]
    fn rows_are_full_where_they_can_be() {
        assert_eq!([1, 3, 6, 7, 8, 10, 12, 25].map(columns), [1, 3, 6, 6, 4, 5, 6, 5]);
    }
}
