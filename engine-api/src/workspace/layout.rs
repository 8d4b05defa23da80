//! Where things lie in a workspace folder. The layout is that of mostlyai-engine, so that its tools can read
//! ours.

use std::path::{Path, PathBuf};

use engine_core::target_name;

/// Paths of a workspace folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceLayout {
    root: PathBuf,
}

/// Methods that join a fixed path to the root.
macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident = $path:expr;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> PathBuf {
            self.root.join($path)
        })*
    };
}

impl WorkspaceLayout {
    /// The layout of the workspace at `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    paths! {
        /// Everything that holds rows of the user's table.
        original_data = "OriginalData";
        /// The table's rows, `part.NNNNNN-trn.parquet` and `part.NNNNNN-val.parquet`.
        table_data = concat!("OriginalData/", target_name!("-data"));
        /// What is known about the table before it is analyzed.
        table_meta = concat!("OriginalData/", target_name!("-meta"));
        /// The codes, in files named as those of the table.
        encoded_data = "OriginalData/encoded-data";
        /// All that sampling needs.
        model_store = "ModelStore";
        /// Version and seed of the workspace.
        marker = "ModelStore/argn.json";
        /// What the statistics cost under a privacy budget.
        privacy_ledger = "ModelStore/privacy-ledger.json";
        /// Statistics and format of the table.
        table_stats = concat!("ModelStore/", target_name!("-stats"));
        /// The model.
        model_data = "ModelStore/model-data";
        /// The weights, as safetensors.
        weights = "ModelStore/model-data/model-weights.safetensors";
        /// What only resuming a training needs.
        training_state = "ModelStore/model-data/training-state.bin";
        /// The messages of the training.
        progress_messages = "ModelStore/model-data/progress-messages.csv";
        /// Generated rows.
        synthetic_data = "SyntheticData";
    }
}

/// Files of the model store that sampling and a summary need, by their names in it; the weights are not
/// among them.
pub(crate) mod store {
    use engine_core::target_name;

    /// Version and seed of the workspace.
    pub(crate) const MARKER: &str = "argn.json";
    /// The statistics.
    pub(crate) const STATS: &str = concat!(target_name!("-stats"), "/stats.json");
    /// Which split the statistics are of.
    pub(crate) const ANALYSIS: &str = concat!(target_name!("-stats"), "/analysis.json");
    /// Columns of the table, their types and written forms.
    pub(crate) const TABLE_FORMAT: &str = concat!(target_name!("-stats"), "/table-format.json");
    /// Widths of the layers.
    pub(crate) const CONFIGS: &str = "model-data/model-configs.json";
    /// How the model was trained.
    pub(crate) const TRAINING: &str = "model-data/training.json";
    /// The messages of the training.
    pub(crate) const PROGRESS: &str = "model-data/progress-messages.csv";
    /// What the statistics cost under a privacy budget.
    pub(crate) const LEDGER: &str = "privacy-ledger.json";
    /// All of them.
    pub(crate) const ALL: [&str; 8] = [
        MARKER,
        LEDGER,
        STATS,
        ANALYSIS,
        TABLE_FORMAT,
        CONFIGS,
        TRAINING,
        PROGRESS,
    ];
}
