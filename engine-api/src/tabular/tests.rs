use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};

use super::*;
use crate::{SampleOptions, StopReason, silent};

/// 300 rows: every column of another kind; `pair` follows from `kind`.
fn table() -> RecordBatch {
    let kinds = ["red", "green", "blue"];
    let columns: [(&str, ArrayRef); 7] = [
        ("id", Arc::new(Int64Array::from_iter_values(1_000..1_300))),
        (
            "kind",
            Arc::new(StringArray::from_iter_values((0..300).map(|i| kinds[i % 3]))),
        ),
        (
            "pair",
            Arc::new(StringArray::from_iter_values(
                (0..300).map(|i| ["x", "y", "z"][i % 3]),
            )),
        ),
        (
            "price",
            Arc::new(Float64Array::from_iter(
                (0..300).map(|i| (i % 7 != 0).then_some(f64::from(i) / 4.0)),
            )),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from_iter((0..300).map(|i| Some(i % 2 == 0)))),
        ),
        (
            "constant",
            Arc::new(Int64Array::from_iter_values(std::iter::repeat_n(5, 300))),
        ),
        ("empty", Arc::new(Int64Array::new_null(300))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn argn(folder: &Path) -> TabularArgnBuilder {
    TabularArgn::builder()
        .workspace(folder)
        .seed(5)
        .batch_size(32)
        .primary_key("id")
}

fn weights(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("ModelStore/model-data/model-weights.safetensors")).unwrap()
}

#[test]
fn rows_have_the_types_of_the_table_and_new_keys() {
    let folder = tempfile::tempdir().unwrap();
    let model = argn(folder.path())
        .max_epochs(3.0)
        .build()
        .fit(&table(), &mut silent)
        .unwrap();
    let rows = model
        .sample(&SampleOptions {
            seed: Some(1),
            ..SampleOptions::rows(200)
        })
        .unwrap();
    assert_eq!(rows.schema().fields(), table().schema().fields());
    assert_eq!(rows.num_rows(), 200);
    assert_eq!(rows.column(6).null_count(), 200);
    assert!(rows.column(3).null_count() > 0);
    let keys: Vec<i64> = rows
        .column(0)
        .as_any()
        .downcast_ref::<Int64Array>()
        .unwrap()
        .values()
        .to_vec();
    assert_eq!(keys, (1..=200).collect::<Vec<i64>>());
    assert_eq!(model.summary().columns.len(), 7);
}

#[test]
fn sampling_needs_only_the_model_store_and_batches_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let model = argn(folder.path())
        .max_epochs(1.0)
        .discard_data(true)
        .build()
        .fit(&table(), &mut silent)
        .unwrap();
    assert!(!folder.path().join("OriginalData").exists());
    let options = |batch_rows| SampleOptions {
        seed: Some(9),
        batch_rows,
        ..SampleOptions::rows(150)
    };
    let whole = model.sample(&options(10_000)).unwrap();
    assert_eq!(whole, model.sample(&options(7)).unwrap());
    let packed = folder.path().join("model.argn");
    model.workspace().export(&packed).unwrap();
    assert_eq!(
        whole,
        FittedTabularArgn::load(&packed)
            .unwrap()
            .sample(&options(64))
            .unwrap()
    );
}

#[test]
fn a_training_that_was_stopped_resumes_to_the_same_weights() {
    let whole = tempfile::tempdir().unwrap();
    argn(whole.path())
        .max_epochs(4.0)
        .build()
        .fit(&table(), &mut silent)
        .unwrap();
    let cut = tempfile::tempdir().unwrap();
    let mut stop = |event: &crate::Event<'_>| match event {
        crate::Event::Training(p) if p.epoch >= 1.5 => std::ops::ControlFlow::Break(()),
        _ => std::ops::ControlFlow::Continue(()),
    };
    let first = argn(cut.path())
        .max_epochs(4.0)
        .build()
        .fit(&table(), &mut stop)
        .unwrap();
    assert_eq!(first.report().unwrap().training.reason, StopReason::Cancelled);
    let resume = argn(cut.path()).max_epochs(4.0).state(ModelState::Resume).build();
    resume.fit(&table(), &mut silent).unwrap();
    assert_eq!(weights(whole.path()), weights(cut.path()));
    let again = resume.fit(&table(), &mut silent).unwrap();
    assert!(again.report().unwrap().training.was_over);
}

#[test]
fn a_finished_model_is_replaced_only_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || argn(folder.path()).max_epochs(1.0);
    builder().build().fit(&table(), &mut silent).unwrap();
    let before = weights(folder.path());
    let error = builder().build().fit(&table(), &mut silent).unwrap_err();
    assert!(matches!(error, EngineError::ModelExists { .. }), "{error}");
    assert_eq!(before, weights(folder.path()));
    builder()
        .state(ModelState::Reuse)
        .build()
        .fit(&table(), &mut silent)
        .unwrap();
    assert_ne!(before, weights(folder.path()));
    builder()
        .state(ModelState::Reset)
        .build()
        .fit(&table(), &mut silent)
        .unwrap();
    assert_eq!(before, weights(folder.path()));
}

#[test]
fn zero_epochs_store_a_model_that_samples() {
    let folder = tempfile::tempdir().unwrap();
    let model = argn(folder.path())
        .max_epochs(0.0)
        .build()
        .fit(&table(), &mut silent)
        .unwrap();
    assert_eq!(model.sample(&SampleOptions::rows(3)).unwrap().num_rows(), 3);
}

#[test]
fn one_row_is_too_few_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let error = argn(folder.path())
        .build()
        .fit(&table().slice(0, 1), &mut silent)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "table: the table has 1 row; give at least two, one to train on and one to validate on"
    );
    assert!(
        !folder.path().join("ModelStore").exists(),
        "nothing of a workspace is left"
    );
}
