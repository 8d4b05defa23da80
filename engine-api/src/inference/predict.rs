//! Predictions: one value for each row, from the distribution of a column.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};
use engine_core::encode::{BinOffsets, RareReplacement, ValueKind};
use engine_core::generate::{DrawSite, Point, point_predictions, rare_codes};
use engine_core::ir::ops::sampling::{Cell, RequestedOutputs, SamplingRules};
use engine_core::schema::DecodedValues;

use super::InferenceError;
use super::aggregate::{Aggregate, aggregate, has_mean};
use super::conditioning::{ConditioningRows, TableOrigin};
use super::decoded::{arrays, format_of, written};
use super::fixed_order;
use super::model::InferenceModel;
use super::proba::{features, places};
use crate::EngineError;
use crate::data::{DataError, to_record_batch};

/// Which value is predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Predictor {
    /// The mean of numbers and dates, the mode of all else.
    #[default]
    Auto,
    /// The most probable value that is not null.
    Mode,
    /// The mean, over the whole distribution rather than over draws.
    Mean,
    /// The median, over the whole distribution.
    Median,
    /// So many draws, at least 1; more than one as a list.
    Draws(usize),
}

/// How values are predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictOptions {
    /// Which value.
    pub predictor: Predictor,
    /// Column orders whose distributions are averaged, at least 1; draws follow one order. Fixed-order models have one only.
    pub orders: usize,
    /// Seed of draws and of the orders.
    pub seed: u64,
    /// Whether columns and values that do not fit are ignored with a warning rather than refused.
    pub lenient: bool,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self {
            predictor: Predictor::default(),
            orders: 1,
            seed: 0,
            lenient: false,
        }
    }
}

/// Predictions of `targets` in each row, given all other columns of the batch: one column for each.
pub(crate) fn predict(
    model: &InferenceModel,
    batch: &RecordBatch,
    origin: TableOrigin<'_>,
    targets: &[&str],
    options: &PredictOptions,
) -> Result<RecordBatch, EngineError> {
    let places = places(model, targets)?;
    if let Predictor::Draws(0) = options.predictor {
        return Err(InferenceError::TooFew {
            option: "draws",
            got: 0,
        }
        .into());
    }
    let given = features(model, batch, origin, &places)?;
    let columns = match options.predictor {
        Predictor::Draws(draws) => drawn(model, &given, origin, &places, (draws, options.seed))?,
        _ => {
            let column = |place: &usize| point(model, &given, *place, options);
            places.iter().map(column).collect::<Result<_, _>>()?
        }
    };
    let fields = targets.iter().zip(&columns);
    let fields = fields.map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let rows = RecordBatchOptions::new().with_row_count(Some(given.rows));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new_with_options(schema, columns, &rows);
    let convert = |source| DataError::Convert {
        column: "*".to_owned(),
        data_type: "a table of predictions".to_owned(),
        source,
    };
    Ok(batch.map_err(convert)?)
}

fn point(
    model: &InferenceModel,
    given: &ConditioningRows,
    place: usize,
    options: &PredictOptions,
) -> Result<ArrayRef, EngineError> {
    let column = &model.columns[place];
    let is_number = has_mean(&column.data_type) && column.encoding.is_numeric() || is_date(model, place);
    let point = match options.predictor {
        Predictor::Mean => Point::Mean,
        Predictor::Median => Point::Median,
        Predictor::Auto if is_number => Point::Mean,
        _ => Point::Mode,
    };
    let asked = model.probability(options.orders, options.seed, RareReplacement::default());
    let query = model.distribution(place, &asked)?;
    let atoms = query.run(&model.loaded, &given.cells(model, Cell::Masked))?;
    let decoded = point_predictions(&model.stats, column.model_column, &atoms, point)?;
    let mut format = written(model, &column.name);
    if point != Point::Mode && matches!(decoded.values, DecodedValues::Float(_)) {
        format.data_type = DataType::Float64;
    }
    let batch = to_record_batch(vec![decoded], &format_of(vec![format], model))?;
    Ok(Arc::clone(batch.column(0)))
}

fn is_date(model: &InferenceModel, place: usize) -> bool {
    model.columns[place].encoding.decodes_to() == Some(ValueKind::Instants)
}

fn drawn(
    model: &InferenceModel,
    given: &ConditioningRows,
    origin: TableOrigin<'_>,
    places: &[usize],
    (draws, seed): (usize, u64),
) -> Result<Vec<ArrayRef>, EngineError> {
    let rules = SamplingRules {
        fixed: rare_codes(&model.stats, RareReplacement::default()),
        ..SamplingRules::default()
    };
    let mut order = places.to_vec();
    if !model.loaded.is_any_order() {
        order.sort_unstable();
    }
    let plan = model.loaded.plan(&order, rules, RequestedOutputs::default())?;
    let mut cells = given.cells(model, Cell::Masked);
    for place in places {
        cells.set_column(model.columns[*place].sub_columns.clone(), Cell::Sampled);
    }
    let names: Vec<&str> = places.iter().map(|p| model.columns[*p].name.as_str()).collect();
    let mut by_draw = Vec::with_capacity(draws);
    for draw in 0..draws {
        let first_row = first_row_of(draw, origin.first_row);
        let site = DrawSite { seed, first_row };
        let codes = model.loaded.sample(&plan, &cells, site);
        let codes =
            codes.map_err(|e| fixed_order(e, "draw a column whose earlier columns are not all given"))?;
        by_draw.push(arrays(
            model,
            &codes,
            &names,
            BinOffsets::Random { seed, first_row },
        )?);
    }
    let how = if draws == 1 {
        Aggregate::Mode
    } else {
        Aggregate::List
    };
    let column = |at: usize| {
        let draws: Vec<ArrayRef> = by_draw.iter().map(|b| Arc::clone(b.column(at))).collect();
        aggregate(&draws, how, names[at])
    };
    (0..names.len()).map(column).collect()
}

/// Draws of one row are numbered far apart from those of others, so that no two share random numbers.
pub(crate) fn first_row_of(draw: usize, first_row: u64) -> u64 {
    first_row + ((draw as u64) << 40)
}
