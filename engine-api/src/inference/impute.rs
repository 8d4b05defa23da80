//! Imputation: missing cells of rows are drawn given the observed ones, which stay as they are.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::zip::zip;
use engine_core::encode::{BinOffsets, RareReplacement};
use engine_core::generate::{Cells, DrawSite, SamplePlan, imputed_codes, merge_rules, rare_codes};
use engine_core::ir::ops::sampling::{Cell, RequestedOutputs, SamplingRules};

use super::InferenceError;
use super::aggregate::{Aggregate, aggregate, has_mean};
use super::conditioning::{ConditioningRows, TableOrigin, check_names};
use super::decoded::{arrays, as_type};
use super::fitted::without_nan;
use super::fixed_order;
use super::model::InferenceModel;
use super::predict::first_row_of;
use crate::EngineError;
use crate::data::{DataError, Rounding, list_names};
use crate::seed::draw_seed;

/// How missing values are filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct ImputeOptions {
    /// Columns to fill in; all columns of the model that the table has, when there are none. Nulls of other columns are taken for
    /// values and stay.
    pub columns: Vec<String>,
    /// Draws of each missing cell, at least 1.
    pub draws: usize,
    /// What several draws become.
    pub aggregate: Aggregate,
    /// Seed of the draws; without one it is drawn.
    pub seed: Option<u64>,
    /// Whether columns and values that do not fit are ignored with a warning rather than refused; columns of texts then get their
    /// mode where a mean or a median is requested.
    pub lenient: bool,
}

impl Default for ImputeOptions {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            draws: 1,
            aggregate: Aggregate::default(),
            seed: None,
            lenient: false,
        }
    }
}

/// Fills in the missing cells of batches of one schema.
pub(crate) struct Imputer {
    model: Arc<InferenceModel>,
    plan: SamplePlan,
    /// Columns that are filled in: their places among those of the model.
    places: Vec<usize>,
    marks: Vec<bool>,
    seed: u64,
    options: ImputeOptions,
}

/// What a column of a batch gets.
pub(crate) struct Filled {
    /// Place of the column in the batch.
    pub(crate) at: usize,
    /// Which cells are missing.
    pub(crate) missing: BooleanArray,
    /// Values for all rows, of which those of missing cells count; in the model's type, or lists of it.
    pub(crate) values: ArrayRef,
}

impl Imputer {
    /// Looks at the columns of a table.
    pub(crate) fn new(
        model: Arc<InferenceModel>,
        schema: &Schema,
        origin: TableOrigin<'_>,
        options: &ImputeOptions,
    ) -> Result<Self, EngineError> {
        if options.draws == 0 {
            return Err(InferenceError::TooFew {
                option: "draws",
                got: 0,
            }
            .into());
        }
        check_names(&model, schema.fields().iter().map(|f| f.name().as_str()), origin)?;
        let places = places(&model, schema, origin, options)?;
        let names: Vec<&str> = places.iter().map(|p| model.columns[*p].name.as_str()).collect();
        if matches!(options.aggregate, Aggregate::Mean | Aggregate::Median)
            && options.draws > 1
            && !options.lenient
        {
            let without = places.iter().find(|p| !has_mean(&model.columns[**p].data_type));
            if let Some(place) = without {
                return Err(InferenceError::Aggregate {
                    column: model.columns[*place].name.clone(),
                    aggregate: options.aggregate.name(),
                }
                .into());
            }
        }
        let fixed = [
            rare_codes(&model.stats, RareReplacement::default()),
            imputed_codes(&model.stats, &names),
        ];
        let rules = SamplingRules {
            fixed: merge_rules(&fixed),
            ..SamplingRules::default()
        };
        let mut order = places.clone();
        if !model.loaded.is_any_order() {
            order.sort_unstable();
        }
        let plan = model.loaded.plan(&order, rules, RequestedOutputs::default())?;
        let marks = (0..model.columns.len()).map(|at| places.contains(&at)).collect();
        Ok(Self {
            seed: options.seed.map_or_else(draw_seed, Ok)?,
            options: options.clone(),
            model,
            plan,
            places,
            marks,
        })
    }

    /// Values for the missing cells of a batch, by column; columns without any are left out.
    pub(crate) fn fill(
        &self,
        batch: &RecordBatch,
        origin: TableOrigin<'_>,
    ) -> Result<Vec<Filled>, EngineError> {
        let model = &self.model;
        let given = ConditioningRows::of(model, batch, origin, &[])?;
        let holes = self.places.iter().filter_map(|place| {
            let array = given.arrays[*place].as_ref()?;
            (array.logical_null_count() > 0).then_some((*place, array))
        });
        let holes: Vec<(usize, &ArrayRef)> = holes.collect();
        if holes.is_empty() {
            return Ok(Vec::new());
        }
        let cells = self.cells(&given);
        let names: Vec<&str> = holes
            .iter()
            .map(|(p, _)| model.columns[*p].name.as_str())
            .collect();
        let mut by_draw = Vec::with_capacity(self.options.draws);
        for draw in 0..self.options.draws {
            let (seed, first_row) = (self.seed, first_row_of(draw, origin.first_row));
            let codes = model
                .loaded
                .sample(&self.plan, &cells, DrawSite { seed, first_row });
            let codes = codes.map_err(|e| fixed_order(e, "fill in a column before an observed one"))?;
            by_draw.push(arrays(
                model,
                &codes,
                &names,
                BinOffsets::Random { seed, first_row },
            )?);
        }
        let mut filled = Vec::with_capacity(holes.len());
        for (i, (_, array)) in holes.iter().enumerate() {
            let draws: Vec<ArrayRef> = by_draw.iter().map(|b| Arc::clone(b.column(i))).collect();
            let mut how = self.options.aggregate;
            if !has_mean(array.data_type()) && matches!(how, Aggregate::Mean | Aggregate::Median) {
                how = Aggregate::Mode;
            }
            filled.push(Filled {
                at: batch.schema_ref().index_of(names[i]).unwrap_or_default(),
                missing: (0..array.len()).map(|row| Some(array.is_null(row))).collect(),
                values: aggregate(&draws, how, names[i])?,
            });
        }
        Ok(filled)
    }

    /// Cells with values are observed; missing ones are sampled, columns that the table lacks are masked.
    fn cells(&self, given: &ConditioningRows) -> Cells {
        let mut cells = Cells::masked(given.rows, self.model.loaded.sub_columns());
        for place in &self.places {
            cells.set_column(self.model.columns[*place].sub_columns.clone(), Cell::Sampled);
        }
        given.observe(&self.model, &mut cells, 0, &self.marks);
        cells
    }

    /// A batch with its missing cells filled in; all columns and their types stay, but for columns that hold nothing and lists.
    pub(crate) fn filled(
        &self,
        batch: &RecordBatch,
        origin: TableOrigin<'_>,
    ) -> Result<RecordBatch, EngineError> {
        let mut columns = batch.columns().to_vec();
        for Filled { at, missing, values } in self.fill(batch, origin)? {
            let name = batch.schema_ref().field(at).name();
            columns[at] = merged(&columns[at], &missing, &values, name)?;
        }
        let types: Vec<DataType> = batch
            .schema_ref()
            .fields()
            .iter()
            .map(|f| self.output_type(f.name(), f.data_type()))
            .collect();
        for ((column, to), field) in columns.iter_mut().zip(&types).zip(batch.schema_ref().fields()) {
            if let (DataType::List(_), false) = (to, matches!(column.data_type(), DataType::List(_))) {
                let alone = aggregate(&[Arc::clone(column)], Aggregate::List, field.name())?;
                *column = as_type(&alone, field.name(), to)?;
            } else if column.data_type() != to {
                *column = as_type(column, field.name(), to)?;
            }
        }
        let fields = batch.schema_ref().fields().iter().zip(&types);
        let fields = fields.map(|(f, to)| {
            let nullable = f.is_nullable() || f.data_type() != to;
            Field::new(f.name(), to.clone(), nullable).with_metadata(f.metadata().clone())
        });
        let schema =
            Schema::new_with_metadata(fields.collect::<Vec<_>>(), batch.schema_ref().metadata().clone());
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let result = RecordBatch::try_new_with_options(Arc::new(schema), columns, &rows);
        let convert = |source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "a filled table".to_owned(),
            source,
        };
        Ok(result.map_err(convert)?)
    }

    /// The type of a column of the result.
    pub(crate) fn output_type(&self, name: &str, given: &DataType) -> DataType {
        let place = self.places.iter().find(|p| self.model.columns[**p].name == name);
        let Some(place) = place else { return given.clone() };
        let of_model = &self.model.columns[*place].data_type;
        let of_value = match given {
            DataType::Null => of_model,
            given => given,
        };
        match self.options.aggregate {
            Aggregate::List => DataType::List(Arc::new(Field::new_list_field(of_value.clone(), true))),
            _ => of_value.clone(),
        }
    }

    /// What becomes of decimals of new values that the form of a column of CSV has no place for: means and medians keep them.
    pub(crate) fn rounding(&self) -> Rounding {
        let is_drawn = self.options.draws == 1;
        match self.options.aggregate {
            Aggregate::Mean | Aggregate::Median if !is_drawn => Rounding::Times,
            _ => Rounding::AsColumn,
        }
    }

    /// Whether a column is filled in.
    pub(crate) fn fills(&self, name: &str) -> bool {
        self.places.iter().any(|p| self.model.columns[*p].name == name)
    }
}

/// Known values with new ones in the missing cells.
fn merged(
    old: &ArrayRef,
    missing: &BooleanArray,
    new: &ArrayRef,
    name: &str,
) -> Result<ArrayRef, EngineError> {
    let old = without_nan(old);
    let (old, new) = match (new.data_type(), old.data_type()) {
        (DataType::List(_), DataType::Null) => (as_type(&old, name, new.data_type())?, Arc::clone(new)),
        (DataType::List(_), of_value) => {
            let alone = aggregate(&[Arc::clone(&old)], Aggregate::List, name)?;
            let list = DataType::List(Arc::new(Field::new_list_field(of_value.clone(), true)));
            (alone, as_type(new, name, &list)?)
        }
        (to, DataType::Null) => (as_type(&old, name, to)?, Arc::clone(new)),
        // Keys of a dictionary may number no new values, so they are made anew in the end.
        (_, DataType::Dictionary(_, values)) => (as_type(&old, name, values)?, as_type(new, name, values)?),
        (_, to) => (Arc::clone(&old), as_type(new, name, to)?),
    };
    let merged = zip(missing, &new, &old).map_err(|source| DataError::Convert {
        column: name.to_owned(),
        data_type: "a filled column".to_owned(),
        source,
    })?;
    Ok(merged)
}

/// The columns that are filled in, in the order of the table.
fn places(
    model: &InferenceModel,
    schema: &Schema,
    origin: TableOrigin<'_>,
    options: &ImputeOptions,
) -> Result<Vec<usize>, EngineError> {
    let has = |name: &str| schema.column_with_name(name).is_some();
    let mut absent = Vec::new();
    for name in &options.columns {
        let found = model.place(name);
        match found {
            Err(error) if !options.lenient => return Err(error),
            Ok(_) if has(name) => {}
            _ => absent.push(name.as_str()),
        }
    }
    if !absent.is_empty() {
        let columns = list_names(absent.into_iter());
        if !options.lenient {
            return Err(InferenceError::Missing {
                table: origin.table.to_owned(),
                columns,
                why: "it was to be filled in; leave it out of the columns to fill in",
                may_be_missing: false,
            }
            .into());
        }
        tracing::warn!("columns to fill in that are not there are ignored: {columns}");
    }
    let wanted = |name: &String| options.columns.is_empty() || options.columns.contains(name);
    let fields = schema
        .fields()
        .iter()
        .map(|f| f.name())
        .filter(|name| wanted(name));
    Ok(fields
        .filter_map(|name| model.columns.iter().position(|c| &c.name == name))
        .collect())
}
