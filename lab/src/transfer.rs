//! The weights that trainings start from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use archaeo_training::{Freeze, Recipe, Transfer};
use burn::tensor::Device;

use crate::error::LabError;
use crate::session::Session;

impl Session {
    /// The files of the weights that a recipe starts from; `None` if it starts from none.
    pub(crate) fn init(&self, recipe: &Recipe) -> Result<Option<PathBuf>, LabError> {
        recipe.init.as_ref().map(|init| self.resolve(init.as_ref())).transpose()
    }

    /// The files of all weights that a recipe names, its `init` and teachers, by those names.
    pub(crate) fn weights_of(&self, recipe: &Recipe) -> Result<BTreeMap<String, PathBuf>, LabError> {
        let mut weights = BTreeMap::new();
        if let (Some(init), Some(file)) = (&recipe.init, self.init(recipe)?) {
            weights.insert(init.clone(), file);
        }
        recipe.objective.clone().find_weights(|path| {
            let file = self.resolve(path)?;
            weights.insert(path.to_string_lossy().into_owned(), file.clone());
            Ok::<_, LabError>(file)
        })?;
        Ok(weights)
    }

    /// The model that a recipe starts from, for data of these classes, and what was decided about it.
    pub(crate) fn transfer(
        &self,
        recipe: &Recipe,
        file: Option<PathBuf>,
        classes: &[String],
        device: &Device,
    ) -> Result<Option<Transfer>, LabError> {
        let (Some(file), Some(init)) = (file, &recipe.init) else { return Ok(None) };
        let stage = self.stage(&format!("reading {init}"));
        let transfer = Transfer::read(recipe, &file, classes, device)?;
        drop(stage);
        transfer.notes().iter().for_each(|note| self.note(format!("{init} {note}")));
        if recipe.freeze == Freeze::Backbone && recipe.augment.variants().is_none() {
            self.note(
                "the features of the frozen backbone are computed in every epoch, since `augment` makes other images in each; without it, \
                 or with `flip` alone, they are computed once",
            );
        }
        Ok(Some(transfer))
    }
}
