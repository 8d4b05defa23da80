//! The commands of inference: impute, predict, proba, log-prob, evaluate.

use std::fmt::Write;
use std::time::Instant;

use engine_api::data::{ReadOptions, TableSource};
use engine_api::{
    Aggregate, Compared, EvaluateOptions, Evaluation, FittedTabularArgn, ImputeOptions, LogProbOptions,
    PredictOptions, Predictor, ProbaOptions, draw_seed,
};

use crate::args::{
    Aggregates, By, CommonArgs, Evaluate, Impute, LogProb, ModelArgs, Predict, Proba, RowsArgs,
};
use crate::commands::{report_rows, report_seed, with_progress};
use crate::failure::Failure;
use crate::options;
use crate::report::{print, print_json};
use crate::terminal::Terminal;

/// The model on the requested device.
pub(crate) fn loaded(model: &ModelArgs, common: &CommonArgs) -> Result<FittedTabularArgn, Failure> {
    let device = options::device(common)?;
    Ok(FittedTabularArgn::load(&model.workspace)?.on_device(device))
}

/// The rows of a query; what they say of the targets is not read.
fn rows(model: &FittedTabularArgn, args: &RowsArgs, targets: &[String]) -> Result<TableSource, Failure> {
    let reading = ReadOptions {
        as_text: targets.to_vec(),
        ..options::asked(&args.reading, &args.lenient)
    };
    Ok(model.open_rows(&args.file, &reading)?)
}

/// `argn impute`
pub(crate) fn impute(args: &Impute, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    let begin = Instant::now();
    let model = loaded(&args.model, common)?;
    let rows = rows(&model, &args.rows, &[])?;
    let seed = common.seed.map_or_else(draw_seed, Ok)?;
    let options = ImputeOptions {
        columns: args.columns.clone(),
        draws: args.draws.get(),
        aggregate: match args.aggregate {
            Aggregates::Mode => Aggregate::Mode,
            Aggregates::Mean => Aggregate::Mean,
            Aggregates::Median => Aggregate::Median,
            Aggregates::List => Aggregate::List,
        },
        seed: Some(seed),
        lenient: args.rows.lenient.lenient,
    };
    let output = &args.output.output;
    let done = with_progress(terminal, |on_progress| {
        model.impute_to(&rows, output, &options, on_progress)
    })?;
    report_seed(seed, common, terminal);
    report_rows(done, output, begin, terminal);
    Ok(())
}

/// `argn predict`
pub(crate) fn predict(args: &Predict, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    let begin = Instant::now();
    let model = loaded(&args.model, common)?;
    let rows = rows(&model, &args.rows, &args.target.targets)?;
    let mut options = PredictOptions {
        predictor: match args.by {
            By::Auto => Predictor::Auto,
            By::Mode => Predictor::Mode,
            By::Mean => Predictor::Mean,
            By::Median => Predictor::Median,
        },
        orders: args.orders.orders.get(),
        seed: common.seed.unwrap_or(0),
        lenient: args.rows.lenient.lenient,
    };
    if let Some(draws) = args.draws {
        options.predictor = Predictor::Draws(draws.get());
        options.seed = common.seed.map_or_else(draw_seed, Ok)?;
        report_seed(options.seed, common, terminal);
    }
    let (output, targets) = (&args.output.output, texts(&args.target.targets));
    let done = with_progress(terminal, |on_progress| {
        model.predict_to(&rows, output, &targets, &options, on_progress)
    })?;
    report_rows(done, output, begin, terminal);
    Ok(())
}

/// `argn proba`
pub(crate) fn proba(args: &Proba, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    let begin = Instant::now();
    let model = loaded(&args.model, common)?;
    let rows = rows(&model, &args.rows, &args.target.targets)?;
    let options = ProbaOptions {
        orders: args.orders.orders.get(),
        seed: common.seed.unwrap_or(0),
        lenient: args.rows.lenient.lenient,
        ..ProbaOptions::default()
    };
    let (output, targets) = (&args.output.output, texts(&args.target.targets));
    let done = with_progress(terminal, |on_progress| {
        model.predict_proba_to(&rows, output, &targets, &options, on_progress)
    })?;
    report_rows(done, output, begin, terminal);
    Ok(())
}

/// `argn log-prob`
pub(crate) fn log_prob(args: &LogProb, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    let begin = Instant::now();
    let model = loaded(&args.model, common)?;
    let rows = rows(&model, &args.rows, &[])?;
    let options = LogProbOptions {
        orders: args.orders.orders.get(),
        seed: common.seed.unwrap_or(0),
        lenient: args.rows.lenient.lenient,
    };
    let output = &args.output.output;
    let done = with_progress(terminal, |on_progress| {
        model.log_prob_to(&rows, output, &options, on_progress)
    })?;
    report_rows(done, output, begin, terminal);
    Ok(())
}

/// `argn evaluate`
pub(crate) fn evaluate(args: &Evaluate, common: &CommonArgs) -> Result<(), Failure> {
    let model = loaded(&args.model, common)?;
    let rows = model.open_rows(&args.test, &options::asked(&args.reading, &args.lenient))?;
    let options = EvaluateOptions {
        orders: args.orders.orders.get(),
        seed: common.seed.unwrap_or(0),
        lenient: args.lenient.lenient,
    };
    let evaluation = model.evaluate_table(&rows, &args.target, &options)?;
    if args.json.json {
        print_json(&evaluation)
    } else {
        print(&scores(&evaluation))
    }
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// Scores in a table: the model beside the baseline.
fn scores(evaluation: &Evaluation) -> String {
    let names = evaluation.columns.iter().map(|c| c.column.chars().count());
    let widest = names.max().unwrap_or(0).clamp(18, 32);
    let mut text = format!(
        "{} from the other columns, {} rows\n{:widest$}  {:>10}  {:>10}\n",
        evaluation.target, evaluation.rows, "", "model", "marginal"
    );
    let mut line = |name: &str, score: Compared<f64>| {
        let _ = writeln!(
            text,
            "{name:widest$}  {:>10.4}  {:>10.4}",
            score.model, score.baseline
        );
    };
    let pair = |model: f64, baseline: f64| Compared { model, baseline };
    if let Some(Compared { model, baseline }) = &evaluation.classes {
        line("accuracy", pair(model.accuracy, baseline.accuracy));
        line("AUC", pair(model.auc, baseline.auc));
        line("log-loss", pair(model.log_loss, baseline.log_loss));
        line(
            "calibration error",
            pair(model.calibration_error, baseline.calibration_error),
        );
    }
    if let Some(Compared { model, baseline }) = &evaluation.numbers {
        line("RMSE", pair(model.rmse, baseline.rmse));
        line("MAE", pair(model.mae, baseline.mae));
    }
    line("log-likelihood", evaluation.log_likelihood);
    text += "log-likelihood by column\n";
    for column in &evaluation.columns {
        let _ = writeln!(
            text,
            "{:widest$}  {:>10.4}  {:>10.4}",
            column.column, column.model, column.baseline
        );
    }
    text
}
