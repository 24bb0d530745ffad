//! A model in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use archaeo_analysis::ablation::Part;
use archaeo_analysis::attribution::{HeadFusion, Heatmap, RolloutOptions, methods};
use archaeo_data::Image;
use archaeo_lab::RolloutChoice;
use archaeo_lab::direct::{
    DirectAttack, DirectExplanation, DirectModel, ModelInMemory, RemovedBy, Rows, overlay_png, picture_png,
};
use archaeo_models::ArrayView;
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArray3, PyArray4, PyArray5, PyArrayMethods, PyReadonlyArray2,
    PyReadonlyArray3, PyReadonlyArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde_json::{Value, json};

use crate::asked::Asked;
use crate::errors::raised;
use crate::object::object;
use crate::source::source;

/// Images as NumPy holds them, `[n, 3, side, side]`.
type Images<'py> = PyReadonlyArrayDyn<'py, f32>;

/// A model in memory.
#[pyclass(frozen, module = "archaeo._archaeo")]
pub struct Model(pub DirectModel);

#[pymethods]
impl Model {
    /// The model of a checkpoint; `said` is a JSON object.
    #[staticmethod]
    fn load(py: Python, said: &str, classes: Option<Vec<String>>, asked: Asked) -> PyResult<Self> {
        let source = source(said)?;
        asked.of(py, |session| session.direct(source, classes.as_deref())).map(Self)
    }

    /// The model of the arrays of another library's object; `config` is the JSON of its configuration.
    #[staticmethod]
    fn of_arrays(
        py: Python,
        arrays: BTreeMap<String, Images>,
        config: Option<&str>,
        said: &str,
        classes: Option<Vec<String>>,
        asked: Asked,
    ) -> PyResult<Self> {
        let config = config.map(serde_json::from_str).transpose();
        let config = config.map_err(|error| {
            PyValueError::new_err(format!("the configuration of the model does not parse: {error}"))
        })?;
        let mut views = BTreeMap::new();
        for (name, array) in &arrays {
            views.insert(name.clone(), ArrayView { shape: array.shape().to_vec(), values: slice(array)? });
        }
        let model = ModelInMemory { arrays: views, config, source: source(said)? };
        asked.of(py, |session| session.direct_of_arrays(model, classes.as_deref())).map(Self)
    }

    /// What the model is: name, sizes, classes, preprocessing and where each value of that is from.
    fn about<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let card = self.0.card();
        let origins: BTreeMap<&str, Value> =
            self.0.preprocessing().origins.iter().map(|(name, origin)| (*name, json!(origin))).collect();
        let about = json!({
            "name": card.name,
            "describe": card.network.describe(),
            "network": card.network,
            "parameters": self.0.parameter_count(),
            "classes": self.0.classes(),
            "image_size": card.preprocessing.image_size,
            "preprocessing": card.preprocessing,
            "preprocessing_from": origins,
            "feature_dim": self.0.feature_dim(),
            "heads": self.0.heads(),
            "blocks": self.0.blocks(),
        });
        object(py, &about)
    }

    /// Pictures, `[height, width, 3]`, resized and cropped as the model takes them.
    fn prepared<'py>(
        &self,
        py: Python<'py>,
        pictures: Vec<PyReadonlyArray3<'py, u8>>,
    ) -> PyResult<Bound<'py, PyArray4<f32>>> {
        let mut images = Vec::with_capacity(pictures.len());
        for picture in &pictures {
            images.push(image(picture)?);
        }
        let side = self.0.card().preprocessing.image_size;
        let count = images.len();
        let values = py.detach(|| self.0.prepared(images));
        values.into_pyarray(py).reshape([count, 3, side, side])
    }

    /// Logits, `[n, classes]`.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        images: Images<'py>,
        asked: Asked,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (shape, values) = parts(&images)?;
        let rows = asked.of(py, |session| self.0.logits(session, self.0.pixels(&shape, values)?))?;
        table(py, rows)
    }

    /// What the head reads, `[n, width]`.
    fn features<'py>(
        &self,
        py: Python<'py>,
        images: Images<'py>,
        asked: Asked,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (shape, values) = parts(&images)?;
        let rows = asked.of(py, |session| self.0.features(session, self.0.pixels(&shape, values)?))?;
        table(py, rows)
    }

    /// Attention weights, `[n, layers, heads, tokens, tokens]`.
    fn attention<'py>(
        &self,
        py: Python<'py>,
        images: Images<'py>,
        asked: Asked,
    ) -> PyResult<Bound<'py, PyArray5<f32>>> {
        let (shape, values) = parts(&images)?;
        let whole = asked.of(py, |session| self.0.attention(session, self.0.pixels(&shape, values)?))?;
        whole.values.into_pyarray(py).reshape(whole.shape)
    }

    /// Attention weights of each layer, `[n, windows, heads, places, places]`, with the layer's grid and prefix tokens.
    #[expect(clippy::type_complexity, reason = "one tuple per layer, which Python takes apart at once")]
    fn attention_by_layer<'py>(
        &self,
        py: Python<'py>,
        images: Images<'py>,
        asked: Asked,
    ) -> PyResult<Vec<(Bound<'py, PyArray5<f32>>, [usize; 2], usize)>> {
        let (shape, values) = parts(&images)?;
        let maps =
            asked.of(py, |session| self.0.attention_by_layer(session, self.0.pixels(&shape, values)?))?;
        let images = maps.images;
        let each = maps.layers.into_iter().map(|layer| {
            let shape = [images, layer.windows, layer.heads, layer.places, layer.places];
            let weights = layer.values.into_pyarray(py).reshape(shape)?;
            Ok((weights, layer.site.grid, layer.site.prefix.count()))
        });
        each.collect()
    }

    /// Heatmaps of a method, with what is known of them.
    #[pyo3(signature = (images, method, targets, asked, *, fusion = "mean", discard = 0.0, start = 1))]
    #[expect(clippy::too_many_arguments, reason = "as Python names them")]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        images: Images<'py>,
        method: &str,
        targets: Option<Vec<usize>>,
        asked: Asked,
        fusion: &str,
        discard: f64,
        start: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let rollout = self.rollout(fusion, discard, start)?;
        let (shape, values) = parts(&images)?;
        let found = asked.of(py, |session| {
            let pixels = self.0.pixels(&shape, values)?;
            self.0.explain(session, pixels, method, rollout, targets.as_deref())
        })?;
        let DirectExplanation { method, heatmaps, targets, probabilities, unusual } = found;
        let answer = PyDict::new(py);
        answer.set_item("method", object(py, &json!(method))?)?;
        answer.set_item("heatmaps", stacked(py, heatmaps)?)?;
        answer.set_item("targets", targets.map(|targets| whole_numbers(py, &targets)))?;
        answer.set_item("probabilities", probabilities.map(|shares| shares.into_pyarray(py)))?;
        answer.set_item("unusual", unusual)?;
        Ok(answer)
    }

    /// Logits before and after parts of the model are replaced: by zeros, or by their means over `reference`. A part is its kind, its
    /// layer, and of a head its number there.
    fn without<'py>(
        &self,
        py: Python<'py>,
        images: Images<'py>,
        parts_off: Vec<(String, usize, Option<usize>)>,
        reference: Option<Images<'py>>,
        asked: Asked,
    ) -> PyResult<[Bound<'py, PyArray2<f32>>; 2]> {
        let off = parts_off.into_iter().map(|(kind, layer, head)| match (kind.as_str(), head) {
            ("head", Some(head)) => Ok(Part::Head { layer, head }),
            ("attention", None) => Ok(Part::Attention(layer)),
            ("mlp", None) => Ok(Part::Mlp(layer)),
            ("layer", None) => Ok(Part::Layer(layer)),
            ("block", None) => Ok(Part::Block(layer)),
            _ => Err(PyValueError::new_err(format!("a model has no part `{kind}`"))),
        });
        let off = off.collect::<PyResult<Vec<Part>>>()?;
        let (shape, values) = parts(&images)?;
        let by = reference.as_ref().map(parts).transpose()?;
        let removed = asked.of(py, |session| {
            let pixels = self.0.pixels(&shape, values)?;
            let by = match &by {
                None => RemovedBy::Zero,
                Some((shape, values)) => RemovedBy::Mean(self.0.pixels(shape, values)?),
            };
            self.0.without(session, pixels, &off, by)
        })?;
        Ok([table(py, removed.before)?, table(py, removed.after)?])
    }

    /// Adversarial images, with what became of each.
    #[pyo3(signature = (images, labels, targets, attack, asked, *, norm = None, epsilon = None, steps = None, restarts = None, loss = None))]
    #[expect(clippy::too_many_arguments, reason = "as Python names them")]
    fn attack<'py>(
        &self,
        py: Python<'py>,
        images: Images<'py>,
        labels: Vec<usize>,
        targets: Option<Vec<usize>>,
        attack: String,
        asked: Asked,
        norm: Option<String>,
        epsilon: Option<f64>,
        steps: Option<usize>,
        restarts: Option<usize>,
        loss: Option<String>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let chosen = DirectAttack { attack, norm, epsilon, steps, restarts, loss };
        let (shape, values) = parts(&images)?;
        let found = asked.of(py, |session| {
            let pixels = self.0.pixels(&shape, values)?;
            self.0.attack(session, pixels, &labels, targets.as_deref(), &chosen)
        })?;
        let outcomes = found.outcomes;
        let numbers = |of: &dyn Fn(usize) -> f64| (0..outcomes.len()).map(of).collect::<Vec<f64>>();
        let answer = PyDict::new(py);
        answer.set_item("title", found.title)?;
        answer.set_item("settings", &found.settings)?;
        answer.set_item("norm", found.norm.id())?;
        answer.set_item("epsilon", found.epsilon)?;
        answer.set_item("clean_answers", whole_numbers(py, &found.clean))?;
        answer.set_item(
            "answers",
            whole_numbers(py, &outcomes.iter().map(|of| of.answer).collect::<Vec<_>>()),
        )?;
        answer
            .set_item("success", outcomes.iter().map(|of| of.success).collect::<Vec<_>>().into_pyarray(py))?;
        answer.set_item("linf", numbers(&|i| outcomes[i].linf).into_pyarray(py))?;
        answer.set_item("l2", numbers(&|i| outcomes[i].l2).into_pyarray(py))?;
        answer.set_item("l1", numbers(&|i| outcomes[i].l1).into_pyarray(py))?;
        answer.set_item("l0", whole_numbers(py, &outcomes.iter().map(|of| of.l0).collect::<Vec<_>>()))?;
        answer
            .set_item("distance", numbers(&|i| outcomes[i].distance.unwrap_or(f64::NAN)).into_pyarray(py))?;
        answer.set_item(
            "queries",
            whole_numbers(py, &outcomes.iter().map(|of| of.queries).collect::<Vec<_>>()),
        )?;
        answer.set_item(
            "steps",
            whole_numbers(py, &outcomes.iter().map(|of| of.best_step).collect::<Vec<_>>()),
        )?;
        answer.set_item(
            "zero_gradient",
            outcomes.iter().map(|of| of.zero_gradient).collect::<Vec<_>>().into_pyarray(py),
        )?;
        let width = outcomes.first().map_or(0, |of| of.logits.len());
        let logits = outcomes.iter().flat_map(|of| of.logits.iter().copied()).collect();
        answer.set_item("logits", table(py, Rows { values: logits, width })?)?;
        let pixels: Vec<f32> = outcomes.into_iter().flat_map(|of| of.image).collect();
        let shape: [usize; 4] = shape.try_into().expect("images have four axes");
        answer.set_item("images", pixels.into_pyarray(py).reshape(shape)?)?;
        Ok(answer)
    }

    /// IDs of the methods of explanation that apply.
    fn methods(&self) -> Vec<&'static str> {
        self.0.methods()
    }

    /// Writes the model with its card, as safetensors.
    fn save(&self, py: Python, file: PathBuf, asked: Asked) -> PyResult<()> {
        asked.of(py, |session| self.0.save(session, &file))
    }
}

impl Model {
    fn rollout(&self, fusion: &str, discard: f64, start: usize) -> PyResult<RolloutChoice> {
        let fusion = match fusion {
            "mean" => HeadFusion::Mean,
            "max" => HeadFusion::Max,
            "min" => HeadFusion::Min,
            other => {
                return Err(PyValueError::new_err(format!(
                    "heads are fused by mean, max or min, not {other:?}"
                )));
            }
        };
        let layers = self.0.heads().len();
        if start == 0 || start > layers.max(1) {
            return Err(PyValueError::new_err(format!(
                "rollout starts at a layer from 1 to {}, not at {start}",
                layers.max(1)
            )));
        }
        Ok(RolloutChoice::Paper(RolloutOptions { fusion, discard, start_layer: start }))
    }
}

/// The PNG of a heatmap over its picture, `[height, width, 3]`.
#[pyfunction]
pub fn overlay<'py>(
    py: Python<'py>,
    picture: PyReadonlyArray3<'py, u8>,
    heatmap: PyReadonlyArray2<'py, f32>,
    signed: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let [rows, columns] = *heatmap.shape() else { unreachable!("it has two axes") };
    let values = heatmap.as_slice().map_err(contiguous)?.to_vec();
    if values.iter().any(|value| !value.is_finite()) {
        return Err(PyValueError::new_err("a heatmap has finite values"));
    }
    let png = overlay_png(&image(&picture)?, &Heatmap::new(rows, columns, values), signed);
    Ok(PyBytes::new(py, &png.map_err(|error| raised(&error))?))
}

/// A picture, `[height, width, 3]`, as a PNG.
#[pyfunction]
pub fn png<'py>(py: Python<'py>, picture: PyReadonlyArray3<'py, u8>) -> PyResult<Bound<'py, PyBytes>> {
    let png = picture_png(&image(&picture)?);
    Ok(PyBytes::new(py, &png.map_err(|error| raised(&error))?))
}

/// IDs of all methods of explanation.
pub fn all_methods() -> Vec<&'static str> {
    methods().iter().map(|method| method.info().id).collect()
}

fn contiguous(_: numpy::AsSliceError) -> PyErr {
    PyValueError::new_err("the array must be contiguous; use numpy.ascontiguousarray")
}

fn slice<'a>(array: &'a PyReadonlyArrayDyn<f32>) -> PyResult<&'a [f32]> {
    array.as_slice().map_err(contiguous)
}

/// Shape and values of images.
fn parts<'a>(images: &'a PyReadonlyArrayDyn<f32>) -> PyResult<(Vec<usize>, &'a [f32])> {
    Ok((images.shape().to_vec(), slice(images)?))
}

/// A picture of `[height, width, 3]` bytes.
fn image(picture: &PyReadonlyArray3<u8>) -> PyResult<Image> {
    let [height, width, channels] = *picture.shape() else { unreachable!("it has three axes") };
    if channels != 3 || height * width == 0 {
        return Err(PyValueError::new_err(format!(
            "a picture has the shape [height, width, 3], not {:?}",
            picture.shape()
        )));
    }
    Ok(Image::new(width, height, picture.as_slice().map_err(contiguous)?.to_vec()))
}

fn table(py: Python, rows: Rows) -> PyResult<Bound<PyArray2<f32>>> {
    let Rows { values, width } = rows;
    let count = values.len().checked_div(width).unwrap_or(0);
    values.into_pyarray(py).reshape([count, width])
}

fn stacked(py: Python, heatmaps: Vec<Heatmap>) -> PyResult<Bound<PyArray3<f32>>> {
    let shape = heatmaps.first().map_or([0; 3], |map| [heatmaps.len(), map.height, map.width]);
    let values: Vec<f32> = heatmaps.into_iter().flat_map(|map| map.values).collect();
    values.into_pyarray(py).reshape(shape)
}

/// Whole numbers as NumPy counts.
pub fn whole_numbers<'py>(py: Python<'py>, numbers: &[usize]) -> Bound<'py, PyArray1<i64>> {
    numbers.iter().map(|&number| number as i64).collect::<Vec<i64>>().into_pyarray(py)
}
