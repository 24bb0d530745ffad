//! Data sets and pictures.

use std::path::PathBuf;

use archaeo_data::{Dataset, Labels, OpenOptions, Split};
use archaeo_lab::LabError;
use archaeo_lab::direct::{self, DirectError};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArray3, PyArrayMethods};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::asked::Asked;
use crate::errors::raised;
use crate::model::whole_numbers;

/// Images in splits, with their classes.
#[pyclass(frozen, module = "archaeo._archaeo")]
pub struct Data(pub Dataset);

/// Opens data: `sherds`, `sherds:size=64`, or a path. With `check`, every image is decoded once and bad ones are left out.
#[pyfunction]
pub fn open_data(py: Python, source: &str, strict: bool, check: bool, asked: Asked) -> PyResult<Data> {
    let options = OpenOptions { strict, labels: Labels::Optional, ..OpenOptions::default() };
    let dataset = asked.of(py, |session| {
        let mut dataset = session.open_data(source, &options)?;
        if check {
            session.verify(&mut dataset, &[])?;
        }
        Ok(dataset)
    })?;
    Ok(Data(dataset))
}

/// The picture that a file holds, `[height, width, 3]`.
#[pyfunction]
pub fn read_picture(py: Python, file: PathBuf) -> PyResult<Bound<PyArray3<u8>>> {
    let image = py.detach(|| direct::read_picture(&file)).map_err(|error| raised(&error))?;
    let shape = [image.height(), image.width(), 3];
    image.into_pixels().into_pyarray(py).reshape(shape)
}

#[pymethods]
impl Data {
    /// What the data are called.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Names of the classes; none where images have no labels.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.0.classes.clone()
    }

    /// Names of the splits, each with its number of images.
    #[getter]
    fn splits(&self) -> Vec<(String, usize)> {
        self.0.splits().iter().map(|(name, split)| (name.clone(), split.len())).collect()
    }

    /// The split that final numbers are measured on.
    #[getter]
    fn evaluation_split(&self) -> &'static str {
        self.0.evaluation_split()
    }

    /// The label of every image of a split.
    fn labels<'py>(&self, py: Python<'py>, split: &str) -> PyResult<Option<Bound<'py, PyArray1<i64>>>> {
        let labels = self.split(split)?.labels();
        Ok(self.0.has_labels().then(|| whole_numbers(py, &labels)))
    }

    /// The names of the images of a split.
    fn names(&self, split: &str) -> PyResult<Vec<String>> {
        let split = self.split(split)?;
        Ok((0..split.len()).map(|index| split.identifier(index)).collect())
    }

    /// Images of a split, each `[height, width, 3]`.
    fn images<'py>(
        &self,
        py: Python<'py>,
        split: &str,
        indices: Vec<usize>,
    ) -> PyResult<Vec<Bound<'py, PyArray3<u8>>>> {
        let split = self.split(split)?;
        within(split, &indices)?;
        let samples = py.detach(|| split.batch(&indices, |image| image));
        let samples = samples.map_err(|error| raised(&DirectError::from(LabError::from(error))))?;
        let each = samples.into_iter().map(|sample| {
            let shape = [sample.image.height(), sample.image.width(), 3];
            sample.image.into_pixels().into_pyarray(py).reshape(shape)
        });
        each.collect()
    }

    /// Where the object is in an image, `[height, width]`; `None` where that is not known.
    fn mask<'py>(
        &self,
        py: Python<'py>,
        split: &str,
        index: usize,
    ) -> PyResult<Option<Bound<'py, PyArray2<bool>>>> {
        let split = self.split(split)?;
        within(split, &[index])?;
        let mask = py.detach(|| split.mask_of(index, &split.load(index)?));
        let mask = mask.map_err(|error| raised(&DirectError::from(LabError::from(error))))?;
        mask.map(|mask| {
            let shape = [mask.height, mask.width];
            mask.inside.into_pyarray(py).reshape(shape)
        })
        .transpose()
    }
}

impl Data {
    fn split(&self, name: &str) -> PyResult<&Split> {
        self.0.split(name).map_err(|error| raised(&DirectError::from(LabError::from(error))))
    }
}

/// Refuses an image that is not there.
fn within(split: &Split, indices: &[usize]) -> PyResult<()> {
    match indices.iter().find(|index| **index >= split.len()) {
        None => Ok(()),
        Some(index) => {
            Err(PyIndexError::new_err(format!("there is no image {index}; there are {}", split.len())))
        }
    }
}
