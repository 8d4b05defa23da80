//! What was typed means: flags as options of the engine.

use engine_api::data::ReadOptions;
use engine_api::{
    AnalyzeOptions, ColumnOrder, Device, EncodingTypes, FitOptions, ModelSize, ModelState, Protection,
    RareReplacement, SampleOptions, SplitOptions, TrainSettings,
};

use crate::args::{AnalyzeArgs, CommonArgs, Model, Rare, SampleArgs, State, TableArgs, TrainArgs};
use crate::failure::Failure;

/// The device with its threads.
pub(crate) fn device(common: &CommonArgs) -> Result<Device, Failure> {
    Ok(common.device.parse::<Device>()?.with_threads(common.threads))
}

pub(crate) fn reading(table: &TableArgs) -> ReadOptions {
    ReadOptions {
        delimiter: table.delimiter,
        null_texts: table.null.clone(),
        primary_key: table.primary_key.clone(),
        exclude: table.exclude.clone(),
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

pub(crate) fn analyzing(analyze: &AnalyzeArgs, common: &CommonArgs) -> AnalyzeOptions {
    AnalyzeOptions {
        seed: common.seed,
        protection: protection(analyze),
    }
}

pub(crate) fn state(state: State) -> ModelState {
    match state {
        State::Reset => ModelState::Reset,
        State::Reuse => ModelState::Reuse,
        State::Resume => ModelState::Resume,
    }
}

pub(crate) fn training(train: &TrainArgs, common: &CommonArgs) -> Result<TrainSettings, Failure> {
    let default = TrainSettings::default();
    let size = |model| match model {
        Model::Small => ModelSize::Small,
        Model::Medium => ModelSize::Medium,
        Model::Large => ModelSize::Large,
    };
    Ok(TrainSettings {
        seed: common.seed,
        model: train.model.map_or(default.model, size),
        max_epochs: train.max_epochs.unwrap_or(default.max_epochs),
        max_minutes: train.max_minutes.unwrap_or(default.max_minutes),
        batch_size: train.batch_size.map(Into::into),
        fixed_order: train.fixed_order,
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
        train: training(train, common)?,
        ..FitOptions::default()
    })
}

pub(crate) fn sampling(
    sample: &SampleArgs,
    rows: Option<u64>,
    common: &CommonArgs,
) -> Result<SampleOptions, Failure> {
    Ok(SampleOptions {
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
        device: device(common)?,
        ..SampleOptions::default()
    })
}
