//! Workspaces: a folder with the table's data, the model and generated rows, or a model packed into one file.

mod layout;
mod marker;
mod packed;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine_core::privacy::PrivacyLedger;
use engine_core::remedy::Job;
pub use layout::WorkspaceLayout;
pub(crate) use layout::store;
pub(crate) use marker::write_json;
pub use marker::{Marker, WORKSPACE_VERSION};
use packed::{PackedModel, read_optional};

use crate::EngineError;
use crate::event::Stage;
use crate::files::{
    FileError, make_folders, remove_file, remove_folder, remove_if_empty, remove_leftovers_of_all,
    sync_folder,
};
use crate::seed::draw_seed;

/// A workspace folder, or a packed model.
#[derive(Debug, Clone)]
pub struct Workspace {
    layout: WorkspaceLayout,
    packed: Option<Arc<PackedModel>>,
}

impl Workspace {
    /// Opens a workspace folder, or a file made by [`Self::export`].
    ///
    /// # Errors
    /// [`EngineError::WorkspaceMissing`], [`EngineError::NotAWorkspace`], [`EngineError::NotAPackedModel`],
    /// and [`EngineError::NewerVersion`] when a newer version of this program made it.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let layout = WorkspaceLayout::new(path);
        if path.is_file() {
            let packed = Some(Arc::new(PackedModel::read(path)?));
            return Ok(Self { layout, packed });
        }
        if !path.is_dir() {
            return Err(EngineError::WorkspaceMissing {
                path: path.to_owned(),
            });
        }
        if !layout.model_store().is_dir() && !layout.original_data().is_dir() {
            return Err(if is_empty(path)? {
                EngineError::WorkspaceMissing {
                    path: path.to_owned(),
                }
            } else {
                EngineError::NotAWorkspace {
                    path: path.to_owned(),
                }
            });
        }
        let workspace = Self { layout, packed: None };
        workspace.marker()?;
        Ok(workspace)
    }

    /// Opens a workspace folder, or makes one where there is nothing or an empty folder.
    ///
    /// # Errors
    /// As [`Self::open`], and [`FileError`] when the folder cannot be made.
    pub fn create(path: &Path) -> Result<Self, EngineError> {
        let nothing_there = match fs::metadata(path) {
            Ok(found) if found.is_dir() => is_empty(path)?,
            Ok(_) => {
                return Err(FileError::IsFile {
                    path: path.to_owned(),
                }
                .into());
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => true,
            Err(e) => return Err(FileError::new(path, "read", e).into()),
        };
        if !nothing_there {
            return Self::open(path);
        }
        let layout = WorkspaceLayout::new(path);
        let store = layout.model_store();
        make_folders(&store)?;
        sync_folder(path)?;
        Marker::new(None).save(&layout.marker())?;
        Ok(Self { layout, packed: None })
    }

    /// Whether it holds nothing but its mark.
    pub(crate) fn is_untouched(&self) -> bool {
        let (store, marker) = (self.layout.model_store(), self.layout.marker());
        let holds_only = |folder: &Path, name: &OsStr| {
            fs::read_dir(folder).is_ok_and(|mut all| all.all(|e| e.is_ok_and(|e| e.file_name() == name)))
        };
        let names = marker.file_name().zip(store.file_name());
        names.is_some_and(|(mark, folder)| holds_only(&store, mark) && holds_only(self.path(), folder))
    }

    /// Removes a workspace that holds nothing but its mark, so that a table which cannot be used leaves nothing behind.
    /// Whatever else lies there stays: folders go only when they are empty.
    pub(crate) fn forget_if_untouched(&self) {
        if self.is_untouched() {
            // The reason why the table cannot be used matters more than a folder that stays.
            let _ = remove_file(&self.layout.marker());
            remove_if_empty(&self.layout.model_store());
            remove_if_empty(self.path());
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.layout.root()
    }

    /// Whether it is a packed model, which only samples.
    pub fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// The paths of a workspace folder.
    ///
    /// # Errors
    /// [`EngineError::Packed`] for a packed model; `stage` is what was to be done.
    pub fn layout(&self, stage: Stage) -> Result<&WorkspaceLayout, EngineError> {
        match &self.packed {
            None => Ok(&self.layout),
            Some(_) => Err(EngineError::Packed {
                path: self.path().to_owned(),
                stage,
            }),
        }
    }

    /// Its mark; `None` when another engine made it.
    ///
    /// # Errors
    /// [`EngineError::NewerVersion`], [`EngineError::Corrupt`].
    pub fn marker(&self) -> Result<Option<Marker>, EngineError> {
        let text = self.store_text(store::MARKER)?;
        text.map(|text| Marker::from_json(self.path(), &text)).transpose()
    }

    /// What the statistics cost; `None` when they were made without a privacy budget.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`], [`FileError`].
    pub fn privacy_ledger(&self) -> Result<Option<PrivacyLedger>, EngineError> {
        let Some(text) = self.store_text(store::LEDGER)? else {
            return Ok(None);
        };
        let ledger = serde_json::from_str(&text).map_err(|e| EngineError::Corrupt {
            path: self.store_path(store::LEDGER),
            reason: format!("the ledger cannot be read ({e})"),
            made_by: Job::Analyze,
        })?;
        Ok(Some(ledger))
    }

    /// The seed of a stage: the given one, else that of the workspace, else a drawn one, which then becomes
    /// that of the workspace.
    pub(crate) fn stage_seed(&self, given: Option<u64>) -> Result<u64, EngineError> {
        let stored = self.marker()?.and_then(|marker| marker.seed);
        match given.or(stored) {
            Some(seed) => Ok(seed),
            None => {
                let seed = draw_seed()?;
                self.set_seed(seed)?;
                Ok(seed)
            }
        }
    }

    /// Stores the seed of the stages that are given no other.
    pub(crate) fn set_seed(&self, seed: u64) -> Result<(), EngineError> {
        let store = self.layout.model_store();
        make_folders(&store)?;
        let before = self.marker()?;
        self.set_marker(&Marker {
            split: before.as_ref().and_then(|marker| marker.split),
            statistics: before.and_then(|marker| marker.statistics),
            ..Marker::new(Some(seed))
        })
    }

    /// Puts a marker in the place of the one that is there.
    pub(crate) fn set_marker(&self, marker: &Marker) -> Result<(), EngineError> {
        marker.save(&self.layout.marker())
    }

    /// A text of the model store by its name there; `None` when there is no such file.
    pub(crate) fn store_text(&self, name: &str) -> Result<Option<Cow<'_, str>>, EngineError> {
        match &self.packed {
            Some(packed) => Ok(packed.text(name).map(Cow::Borrowed)),
            None => Ok(read_optional(&self.layout.model_store().join(name))?.map(Cow::Owned)),
        }
    }

    /// A text of the model store that a command needs.
    pub(crate) fn needed_text(
        &self,
        name: &str,
        what: &'static str,
        made_by: Job,
    ) -> Result<Cow<'_, str>, EngineError> {
        self.store_text(name)?.ok_or_else(|| self.lacks(what, made_by))
    }

    /// The path of a file of the model store, for messages.
    pub(crate) fn store_path(&self, name: &str) -> PathBuf {
        match &self.packed {
            Some(_) => self.path().to_owned(),
            None => self.layout.model_store().join(name),
        }
    }

    /// The weights as a safetensors file; `None` when there are none.
    pub(crate) fn weights(&self) -> Result<Option<Cow<'_, [u8]>>, EngineError> {
        if let Some(packed) = &self.packed {
            return Ok(Some(Cow::Borrowed(packed.weights())));
        }
        let path = self.layout.weights();
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(FileError::new(path, "read", e).into()),
        }
    }

    /// That something is missing, and which job makes it.
    pub(crate) fn lacks(&self, what: &'static str, made_by: Job) -> EngineError {
        EngineError::Lacks {
            path: self.path().to_owned(),
            what,
            made_by,
        }
    }

    /// Whether there are weights to sample with.
    pub fn has_model(&self) -> bool {
        self.is_packed() || self.layout.weights().is_file()
    }

    /// Whether there are statistics, of whatever table.
    pub fn has_statistics(&self) -> bool {
        matches!(self.store_text(store::STATS), Ok(Some(_)))
    }

    /// Packs the model store, whatever it holds, into a file.
    pub(crate) fn pack(&self, file: &Path) -> Result<(), EngineError> {
        PackedModel::write(self.layout(Stage::Train)?, file)
    }

    /// Removes all rows of the user's table: the original and the encoded data, what a killed run left of
    /// them, and rows are never anywhere else in a workspace.
    ///
    /// # Errors
    /// [`FileError`] when something cannot be removed.
    pub fn discard_data(&self) -> Result<(), EngineError> {
        Self::discard_data_at(self.layout(Stage::Split)?.root())
    }

    /// As [`Self::discard_data`], whether a workspace can be opened there or not: data of one that is damaged go too, and where
    /// there is none nothing happens.
    ///
    /// # Errors
    /// [`FileError`] when something cannot be removed.
    pub fn discard_data_at(path: &Path) -> Result<(), EngineError> {
        // A table that could not be used has left nothing behind.
        if !path.is_dir() {
            return Ok(());
        }
        let removed = remove_folder(&WorkspaceLayout::new(path).original_data());
        // Among them may be what somebody else is removing at this moment.
        remove_leftovers_of_all(path)?;
        Ok(removed?)
    }
}

/// Removes a workspace that is still untouched when the work on it ends, with an error or without.
pub(crate) struct ForgottenIfUntouched<'a>(pub(crate) &'a Workspace);

impl Drop for ForgottenIfUntouched<'_> {
    fn drop(&mut self) {
        self.0.forget_if_untouched();
    }
}

/// A new marker, which the one before replaces again unless the change is kept: nothing was touched then, and what was there goes on
/// holding.
pub(crate) struct MarkerChange<'a> {
    workspace: &'a Workspace,
    before: Option<Marker>,
}

impl<'a> MarkerChange<'a> {
    /// Sets the marker that `change` makes of the one that is there.
    pub(crate) fn begin(
        workspace: &'a Workspace,
        change: impl FnOnce(Option<&Marker>) -> Marker,
    ) -> Result<Self, EngineError> {
        let before = workspace.marker()?;
        workspace.set_marker(&change(before.as_ref()))?;
        Ok(Self { workspace, before })
    }

    pub(crate) fn keep(mut self) {
        self.before = None;
    }
}

impl Drop for MarkerChange<'_> {
    fn drop(&mut self) {
        let Some(before) = self.before.take() else { return };
        if let Err(error) = self.workspace.set_marker(&before) {
            tracing::warn!(%error, "the marker of the workspace cannot be written back; its model counts as replaced");
        }
    }
}

fn is_empty(folder: &Path) -> Result<bool, EngineError> {
    let mut entries = fs::read_dir(folder).map_err(|e| FileError::new(folder, "read", e))?;
    Ok(entries.next().is_none())
}
