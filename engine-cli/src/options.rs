//! Flags as options of the engine.

use std::fs;

use engine_api::data::ReadOptions;
use engine_api::files::FileError;
use engine_api::{
    AnalyzeOptions, ColumnOrder, Compat, Device, EncodingTypes, EngineError, FitOptions, FittedTabularArgn,
    ModelSize, ModelState, Parity, Protection, RareReplacement, Rebalance, SampleOptions, SplitOptions,
    StatsBudget, TrainOptions,
};

use crate::args::{
    AnalyzeArgs, ColumnDomain, CommonArgs, ConditioningArgs, LenientArgs, Model, Rare, ReadingArgs,
    RebalanceShare, Rules, SampleArgs, State, TableArgs, TrainArgs,
};
use crate::failure::Failure;

/// The device, and how it is used.
pub(crate) fn device(common: &CommonArgs) -> Result<Device, Failure> {
    let device = common.device.parse::<Device>()?;
    Ok(device
        .with_threads(common.threads)
        .with_tensor_cores(common.tensor_cores)
        .with_half_tables(common.half_tables))
}

pub(crate) fn reading(table: &TableArgs) -> ReadOptions {
    ReadOptions {
        delimiter: table.delimiter,
        null_texts: table.null.clone(),
        keep_null_words: table.keep_null_words,
        primary_key: table.primary_key.clone(),
        exclude: table.exclude.clone(),
        ..ReadOptions::default()
    }
}

/// How a table is read that a model is asked about.
pub(crate) fn asked(reading: &ReadingArgs, lenient: &LenientArgs) -> ReadOptions {
    ReadOptions {
        delimiter: reading.delimiter,
        null_texts: reading.null.clone(),
        lenient: lenient.lenient,
        ..ReadOptions::default()
    }
}

pub(crate) fn splitting(table: &TableArgs, common: &CommonArgs) -> Result<SplitOptions, Failure> {
    let mut encodings = EncodingTypes::new();
    for asked in &table.encoding {
        encodings.insert(asked.column.clone(), asked.encoding);
    }
    Ok(SplitOptions {
        seed: common.seed,
        encodings,
        ..SplitOptions::default()
    })
}

pub(crate) fn protection(analyze: &AnalyzeArgs) -> Protection {
    if analyze.no_value_protection {
        Protection::Off
    } else {
        Protection::On
    }
}

fn compat(analyze: &AnalyzeArgs) -> Compat {
    match analyze.compat {
        Rules::Native => Compat::Native,
        Rules::Reference => Compat::MostlyAi,
    }
}

fn budget(analyze: &AnalyzeArgs) -> Result<Option<StatsBudget>, Failure> {
    let Some(epsilon) = analyze.stats_epsilon else {
        return Ok(None);
    };
    let domains = analyze.domain.iter().map(domain);
    Ok(Some(StatsBudget {
        epsilon,
        delta: analyze.stats_delta.unwrap_or(0.0),
        domains: domains.collect::<Result<_, Failure>>()?,
    }))
}

/// A column with its public values, one a line.
fn domain(domain: &ColumnDomain) -> Result<(String, Vec<String>), Failure> {
    let unreadable = |e| EngineError::File(FileError::new(&domain.file, "read", e));
    let text = fs::read_to_string(&domain.file).map_err(unreadable)?;
    let values = text.lines().map(str::to_owned).collect();
    Ok((domain.column.clone(), values))
}

pub(crate) fn analyzing(analyze: &AnalyzeArgs, common: &CommonArgs) -> Result<AnalyzeOptions, Failure> {
    Ok(AnalyzeOptions {
        seed: common.seed,
        protection: protection(analyze),
        compat: compat(analyze),
        stats_budget: budget(analyze)?,
        force: false,
    })
}

pub(crate) fn state(state: State) -> ModelState {
    match state {
        State::Reset => ModelState::Reset,
        State::Reuse => ModelState::Reuse,
        State::Resume => ModelState::Resume,
    }
}

pub(crate) fn training(train: &TrainArgs, common: &CommonArgs) -> Result<TrainOptions, Failure> {
    let default = TrainOptions::default();
    let size = |model| match model {
        Model::Small => ModelSize::Small,
        Model::Medium => ModelSize::Medium,
        Model::Large => ModelSize::Large,
    };
    Ok(TrainOptions {
        seed: common.seed,
        model: train.model.map_or(default.model, size),
        max_epochs: train.max_epochs.unwrap_or(default.max_epochs),
        max_minutes: train.max_minutes.unwrap_or(default.max_minutes),
        batch_size: train.batch_size.map(Into::into),
        fixed_order: train.fixed_order,
        calibrate: !train.no_calibration,
        device: device(common)?,
        ..default
    })
}

pub(crate) fn fitting(
    table: &TableArgs,
    analyze: &AnalyzeArgs,
    train: &TrainArgs,
    common: &CommonArgs,
) -> Result<FitOptions, Failure> {
    Ok(FitOptions {
        split: splitting(table, common)?,
        protection: protection(analyze),
        compat: compat(analyze),
        stats_budget: budget(analyze)?,
        train: training(train, common)?,
        ..FitOptions::default()
    })
}

pub(crate) fn sampling(sample: &SampleArgs, rows: Option<u64>, common: &CommonArgs) -> SampleOptions {
    SampleOptions {
        rows: rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)),
        seed: common.seed,
        temperature: sample.temperature,
        top_p: sample.top_p,
        rare: match sample.rare {
            Rare::Constant => RareReplacement::Constant,
            Rare::Sample => RareReplacement::Sample,
        },
        order: if sample.random_order {
            ColumnOrder::Random
        } else {
            ColumnOrder::Model
        },
        ..SampleOptions::default()
    }
}

/// Seed data for the rows to draw, and the distribution that some values are to have.
pub(crate) fn conditioning(
    args: &ConditioningArgs,
    model: &FittedTabularArgn,
    options: &mut SampleOptions,
) -> Result<(), Failure> {
    options.lenient = args.lenient.lenient;
    options.impute.clone_from(&args.impute);
    options.rebalance = rebalance(&args.rebalance, args.exact);
    options.fairness = args.fairness.as_ref().map(|f| Parity {
        target: f.target.clone(),
        sensitive: f.sensitive.clone(),
    });
    if let Some(file) = &args.seed_data {
        let rows = model.open_rows(file, &asked(&args.reading, &args.lenient))?;
        options.seed_data = Some(rows.to_record_batch()?);
        options.seed_texts = rows.to_texts()?;
    }
    Ok(())
}

/// Shares by column, in the order in which the columns are named first.
fn rebalance(shares: &[RebalanceShare], exact: bool) -> Vec<Rebalance> {
    let mut columns: Vec<Rebalance> = Vec::new();
    for share in shares {
        let of_value = (share.value.clone(), share.share);
        match columns.iter_mut().find(|r| r.column == share.column) {
            Some(column) => column.shares.push(of_value),
            None => columns.push(Rebalance {
                column: share.column.clone(),
                shares: vec![of_value],
                exact,
            }),
        }
    }
    columns
}
