//! A model loaded for inference: on a device once, with its columns by name and the queries that were prepared.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::DataType;
use engine_core::encode::{
    ColumnStats, EncodingStats, EncodingType, EncodingTypes, RareReplacement, TableStats,
};
use engine_core::generate::{
    GenerateError, JointQuery, LoadedModel, LogProbQuery, ProbabilityOptions, ValueQuery, rare_codes,
};
use engine_core::schema::names::NULL_TOKEN;

use crate::data::{DataError, TableFormat, list_names};
use crate::model_store::StoredModel;
use crate::{Device, EngineError};

/// Prepared queries that are kept.
const KEPT_QUERIES: usize = 32;

/// A model loaded for inference. It is shared by all threads.
#[derive(Debug)]
pub(crate) struct InferenceModel {
    pub(crate) stats: Arc<TableStats>,
    pub(crate) format: Arc<TableFormat>,
    pub(crate) loaded: LoadedModel,
    /// Encodings of all columns.
    pub(crate) types: EncodingTypes,
    /// Columns that the model draws: all but empty ones.
    pub(crate) columns: Vec<Column>,
    queries: Mutex<Vec<(QueryKey, ProbabilityOptions, Query)>>,
}

/// A column that the model draws.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Name in the table.
    pub(crate) name: String,
    /// Type in the table.
    pub(crate) data_type: DataType,
    /// Its encoding.
    pub(crate) encoding: EncodingType,
    /// Index among the columns of the statistics that have values.
    pub(crate) model_column: usize,
    /// Its sub-columns.
    pub(crate) sub_columns: Range<usize>,
    /// Whether every null gets the same codes, if only those of all that is unknown.
    pub(crate) codes_null: bool,
    /// Whether the model has learnt what a null means.
    pub(crate) knows_null: bool,
}

/// What identifies a prepared query.
#[derive(Debug, Clone, PartialEq, Eq)]
enum QueryKey {
    Joint(Vec<usize>),
    Values(usize),
    Rows,
}

#[derive(Debug, Clone)]
enum Query {
    Joint(Arc<JointQuery>),
    Values(Arc<ValueQuery>),
    Rows(Arc<LogProbQuery>),
}

impl InferenceModel {
    /// Puts a model on a device.
    pub(crate) fn new(model: &StoredModel, device: &Device) -> Result<Self, EngineError> {
        let loaded = LoadedModel::new(device.open()?, model.model(), &model.params)?;
        let stats = Arc::clone(&model.stats);
        let types = stats
            .columns
            .iter()
            .map(|(name, c)| (name.clone(), c.encoding_type()));
        let sub_columns = stats.sub_columns();
        let columns = stats.model_columns().into_iter().enumerate();
        let drawn = columns.filter(|(_, c)| !c.sub_columns.is_empty()).map(|(at, c)| {
            let flag = sub_columns[c.sub_columns.clone()]
                .iter()
                .any(|s| s.name.is_null_flag());
            let format = model.format.column(&c.name);
            let tokens = stats
                .columns
                .get(&c.name)
                .and_then(ColumnStats::values)
                .and_then(EncodingStats::tokens);
            let codes_null = flag || tokens.is_some();
            let token = tokens.is_some_and(|tokens| tokens.contains_key(NULL_TOKEN));
            Column {
                data_type: format.map_or(DataType::Utf8, |f| f.data_type.clone()),
                encoding: c.encoding,
                model_column: at,
                codes_null,
                // A fixed-order model cannot leave a null out, so it takes it for something unknown.
                knows_null: flag || token || codes_null && !loaded.is_any_order(),
                sub_columns: c.sub_columns,
                name: c.name,
            }
        });
        Ok(Self {
            types: types.collect(),
            columns: drawn.collect(),
            format: Arc::clone(&model.format),
            loaded,
            stats,
            queries: Mutex::default(),
        })
    }

    /// The place of a column.
    pub(crate) fn place(&self, name: &str) -> Result<usize, EngineError> {
        let found = self.columns.iter().position(|c| c.name == name);
        found.ok_or_else(|| {
            DataError::UnknownColumn {
                table: "the model".to_owned(),
                column: name.to_owned(),
                known: list_names(self.columns.iter().map(|c| c.name.as_str())),
            }
            .into()
        })
    }

    /// The statistics of a column.
    pub(crate) fn values(&self, at: usize) -> Option<&EncodingStats> {
        self.stats.columns.get(&self.columns[at].name)?.values()
    }

    /// Options of probabilities: codes of what is never drawn have none.
    pub(crate) fn probability(&self, orders: usize, seed: u64, rare: RareReplacement) -> ProbabilityOptions {
        ProbabilityOptions {
            fixed: rare_codes(&self.stats, rare),
            orders,
            seed,
            ..ProbabilityOptions::default()
        }
    }

    /// The joint distribution of columns.
    pub(crate) fn joint(
        &self,
        targets: &[usize],
        options: &ProbabilityOptions,
    ) -> Result<Arc<JointQuery>, EngineError> {
        let make = || JointQuery::new(&self.loaded, targets, options).map(|q| Query::Joint(Arc::new(q)));
        match self.query(QueryKey::Joint(targets.to_vec()), options, make)? {
            Query::Joint(query) => Ok(query),
            _ => Err(GenerateError::Targets.into()),
        }
    }

    /// The distribution of one column of any number of sub-columns.
    pub(crate) fn distribution(
        &self,
        target: usize,
        options: &ProbabilityOptions,
    ) -> Result<Arc<ValueQuery>, EngineError> {
        let make = || ValueQuery::new(&self.loaded, target, options).map(|q| Query::Values(Arc::new(q)));
        match self.query(QueryKey::Values(target), options, make)? {
            Query::Values(query) => Ok(query),
            _ => Err(GenerateError::Targets.into()),
        }
    }

    /// Log-likelihood of rows.
    pub(crate) fn likelihood(&self, options: &ProbabilityOptions) -> Result<Arc<LogProbQuery>, EngineError> {
        let make = || LogProbQuery::new(&self.loaded, options).map(|q| Query::Rows(Arc::new(q)));
        match self.query(QueryKey::Rows, options, make)? {
            Query::Rows(query) => Ok(query),
            _ => Err(GenerateError::Targets.into()),
        }
    }

    /// A prepared query, from those that are kept where it is among them: what is prepared is compiled once.
    fn query(
        &self,
        asked: QueryKey,
        options: &ProbabilityOptions,
        make: impl FnOnce() -> Result<Query, GenerateError>,
    ) -> Result<Query, EngineError> {
        let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., query)) = queries.iter().find(|(a, o, _)| *a == asked && o == options) {
            return Ok(query.clone());
        }
        let query = make()?;
        if queries.len() >= KEPT_QUERIES {
            queries.remove(0);
        }
        queries.push((asked, options.clone(), query.clone()));
        Ok(query)
    }
}
