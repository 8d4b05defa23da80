use super::*;

/// The example of the specification, as bytes.
const EXAMPLE: &str = r#"{
    "columns": {
        "cat": {
            "value_protection": false,
            "encoding_type": "TABULAR_CATEGORICAL",
            "no_of_rare_categories": 0,
            "codes": {
                "_RARE_": 0,
                "<<NULL>>": 1,
                "a": 2,
                "b": 3
            },
            "cardinalities": {
                "cat": 4
            },
            "argn_processor": "tgt",
            "argn_table": "t0",
            "argn_column": "c0"
        },
        "nothing": {
            "encoding_type": "TABULAR_NUMERIC_AUTO"
        }
    },
    "no_of_training_records": 32,
    "no_of_validation_records": 8,
    "seq_len": {
        "min": 1,
        "max": 1,
        "median": 1,
        "value_protection": false
    },
    "is_sequential": false,
    "keys": {
        "primary_key": "id"
    },
    "value_protection_epsilon_spent": null
}"#;

#[test]
fn the_file_is_read_and_written_back() {
    let stats = TableStats::from_json(EXAMPLE).unwrap();
    assert_eq!(stats.to_json().unwrap(), EXAMPLE);
    assert_eq!(
        stats.columns["nothing"],
        ColumnStats::Empty(EncodingType::NUMERIC_AUTO)
    );
    let sub_columns = stats.sub_columns();
    assert_eq!(
        (sub_columns.len(), sub_columns[0].name.as_str()),
        (1, "tgt:t0/c0__cat")
    );
}

#[test]
fn unknown_keys_are_ignored() {
    let more = EXAMPLE.replacen(
        "\"value_protection\": false,",
        "\"value_protection\": false, \"new\": [1],",
        1,
    );
    let more = more.replacen("\"no_of_training", "\"other\": {}, \"no_of_training", 1);
    assert_eq!(TableStats::from_json(&more), TableStats::from_json(EXAMPLE));
}

fn error(from: &str, to: &str) -> String {
    let text = EXAMPLE.replacen(from, to, 1);
    assert_ne!(text, EXAMPLE);
    TableStats::from_json(&text).unwrap_err().to_string()
}

#[test]
fn errors_name_the_key() {
    assert_eq!(
        error("\"codes\"", "\"kodes\""),
        "the statistics cannot be read: columns.cat: missing field `codes`; run analyze again"
    );
    assert_eq!(
        error("\"cat\": 4", "\"cat\": 3"),
        "the statistics cannot be read: columns.cat.cardinalities: \"cat\" must be there, alone, and at least the number of \
         codes, 4; run analyze again"
    );
    assert_eq!(
        error("\"argn_table\": \"t0\",", ""),
        "the statistics cannot be read: columns.cat: missing field `argn_table`; run analyze again"
    );
    assert!(error("\"is_sequential\": false,", "").contains("missing field `is_sequential`"));
    assert_eq!(
        error("TABULAR_CATEGORICAL", "LANGUAGE_TEXT"),
        "column \"cat\": the encoding language-text needs the language model, which this version lacks: use \
         categorical for texts that repeat, character for short codes, or leave the column out"
    );
    assert!(TableStats::from_json("").is_err());
}

#[test]
fn columns_take_their_places() {
    let (a, b, c) = (texts(&[Some("x")]), ints(&[Some(1)]), texts(&[Some("y")]));
    let named = |name, column: Column<'static>| Column { name, ..column };
    let columns: Vec<Owned> = vec![a, b, c];
    let leaked: &'static [Owned] = Box::leak(columns.into_boxed_slice());
    let names = ["scp1::a", "flat", "scp1::b"];
    let columns = names
        .iter()
        .zip(leaked)
        .map(|(name, c)| named(name, c.column()))
        .collect();
    let table = Table::new(columns, 1).unwrap();
    let types: EncodingTypes = [
        ("flat".to_owned(), EncodingType::NUMERIC_DIGIT),
        ("scp1::a".to_owned(), EncodingType::CATEGORICAL),
        ("scp1::b".to_owned(), EncodingType::CATEGORICAL),
    ]
    .into_iter()
    .collect();
    let partial = analyze_partition(&table, &types, SplitPart::Validation, 0, Compat::MostlyAi).unwrap();
    let stats = reduce(
        &[partial],
        &types,
        Protection::Off,
        Compat::MostlyAi,
        TableKeys::default(),
        1,
    )
    .unwrap();
    let names: Vec<String> = stats.sub_columns().iter().map(|s| s.name.to_string()).collect();
    assert_eq!(names, ["tgt:t0/c0__E0", "tgt:t1/c1__cat", "tgt:t1/c2__cat"]);
    assert_eq!(
        (stats.no_of_training_records, stats.no_of_validation_records),
        (0, 1)
    );
}

#[test]
fn columns_without_rows_are_empty() {
    let parts = [ints(&[]), ints(&[])];
    let stats = analyze_parts(&parts, EncodingType::NUMERIC_AUTO, Protection::On);
    assert_eq!(stats.columns["x"], ColumnStats::Empty(EncodingType::NUMERIC_AUTO));
    let codes = encode(&parts[0].table(), &stats, 1, 0).unwrap();
    assert_eq!((codes.rows(), codes.columns().len()), (0, 0));
    let codes = CodeTable::new(Vec::new(), 3).unwrap();
    let decoded = decode(&codes, &stats, BinOffsets::Constant(0.5)).unwrap();
    assert_eq!(decoded[0].values, DecodedValues::Null(3));
}

#[test]
fn wrong_codes_and_columns_are_refused() {
    let stats = analyze(texts(&[Some("a"), Some("b")]), EncodingType::CATEGORICAL);
    let codes = CodeTable::new(vec![CodeColumn::U8(vec![1, 3])], 2).unwrap();
    let error = decode(&codes, &stats, BinOffsets::Constant(0.5)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "sub-column tgt:t0/c0__cat, row 2: code 3 is not below its cardinality 3"
    );
    let codes = CodeTable::new(Vec::new(), 2).unwrap();
    let error = decode(&codes, &stats, BinOffsets::Constant(0.5)).unwrap_err();
    assert_eq!(error, EncodeError::UnequalColumns { expected: 1, got: 0 });
    let error = encode(&Table::new(Vec::new(), 2).unwrap(), &stats, 1, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no column \"x\" in the table; check the names of the columns and of the encodings"
    );
}

#[test]
fn unsupported_encodings_say_so() {
    let column = texts(&[Some("a")]);
    let error = analyze_partition(
        &column.table(),
        &types(EncodingType::LANGUAGE_TEXT),
        SplitPart::Training,
        0,
        Compat::Native,
    )
    .unwrap_err();
    let column = "x".to_owned();
    let encoding = EncodingType::LANGUAGE_TEXT;
    assert_eq!(error, EncodeError::Unsupported { column, encoding });
}

#[test]
fn shares_of_codes_are_smoothed() {
    let stats = analyze(
        ints(&[Some(1), None, Some(2), Some(3), Some(3)]),
        EncodingType::NUMERIC_DIGIT,
    );
    let codes = vec![CodeColumn::U8(vec![0, 0, 1, 0]), CodeColumn::U8(vec![1, 2, 0, 1])];
    let table = CodeTable::new(codes, 4).unwrap();
    let probabilities = empirical_probabilities(&stats, &[&table]).unwrap();
    assert_eq!(probabilities[0], [4.0 / 6.0, 2.0 / 6.0]);
    assert_eq!(probabilities[1], [1.0 / 6.0, 3.0 / 6.0, 2.0 / 6.0]);
    // Over several tables; uniform without rows.
    assert_eq!(
        empirical_probabilities(&stats, &[&table, &table]).unwrap()[0],
        [7.0 / 10.0, 3.0 / 10.0]
    );
    assert_eq!(empirical_probabilities(&stats, &[]).unwrap()[1], [1.0 / 3.0; 3]);
    let nulls = CodeTable::new(vec![CodeColumn::U8(vec![1, 1]), CodeColumn::U8(vec![0, 0])], 2).unwrap();
    assert_eq!(
        empirical_probabilities(&stats, &[&nulls]).unwrap()[1],
        [3.0 / 5.0, 1.0 / 5.0, 1.0 / 5.0]
    );
}
