//! Watches a training and stops it after two epochs; what is stored can be sampled and resumed:
//! `cargo run -p engine-examples --bin progress_and_cancel`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::ops::ControlFlow;

use engine_api::{Event, SampleOptions, StopReason, TabularArgn};
use engine_examples::census_rows;

fn main() -> Result<(), Box<dyn Error>> {
    let table = census_rows(5_000)?;
    let mut on_progress = |event: &Event<'_>| match event {
        Event::Training(progress) => {
            if let Some(message) = progress.message {
                println!(
                    "epoch {:.2}: validation loss {:?}",
                    message.epoch, message.val_loss
                );
            }
            if progress.epoch >= 2.0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
        _ => ControlFlow::Continue(()),
    };
    let model = TabularArgn::builder()
        .seed(7)
        .build()
        .fit(&table, &mut on_progress)?;
    let report = model.report().ok_or("a fitted model has a report")?;
    assert_eq!(report.training.reason, StopReason::Cancelled);
    let rows = model.sample(&SampleOptions::rows(100))?;
    println!(
        "stopped after {:.2} epochs, and {} rows can be drawn",
        report.training.epoch,
        rows.num_rows()
    );
    Ok(())
}
