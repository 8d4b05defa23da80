//! A model in one file, without its table.

use std::path::Path;

use engine_core::remedy::Job;

use crate::EngineError;
use crate::event::Stage;
use crate::identity::check_model;
use crate::workspace::Workspace;

impl Workspace {
    /// Packs all that sampling needs into one file, which [`Self::open`] opens.
    ///
    /// # Errors
    /// [`EngineError::Lacks`] without a model, [`EngineError::Packed`] when it is packed already,
    /// [`crate::files::FileError`] when the file cannot be written.
    pub fn export(&self, file: &Path) -> Result<(), EngineError> {
        self.layout(Stage::Train)?;
        if !self.has_model() {
            return Err(self.lacks(
                "model (ModelStore/model-data/model-weights.safetensors)",
                Job::Train,
            ));
        }
        check_model(self)?;
        self.pack(file)
    }
}
