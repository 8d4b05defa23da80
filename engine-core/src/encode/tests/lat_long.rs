use serde_json::json;

use super::*;

fn some(values: &[&str]) -> Owned {
    texts(&values.iter().copied().map(Some).collect::<Vec<_>>())
}

/// The tile of a place: its characters are what the positions of a table that holds all of them say.
fn tile(place: &str) -> String {
    let stats = analyze(some(&[place]), EncodingType::LAT_LONG);
    let entry = entry(&stats);
    let positions = entry["quadtile_characters"]["codes"].as_object().unwrap();
    positions
        .values()
        .map(|codes| codes.as_object().unwrap().keys().next().unwrap().as_str())
        .collect()
}

#[test]
fn places_are_tiles() {
    let a = |n: usize| "A".repeat(n);
    for (place, wanted) in [
        ("48.2, 16.37", "++AAAAABACDAABDCCCDBCACABACAAA".to_owned()),
        ("-33.86785,151.20732", "-+AAAACCDBACDBDADCDBADBCBCCCAB".to_owned()),
        ("0,0", format!("++{}", a(28))),
        ("0.00001,-0.00001", format!("+-{}D", a(27))),
        ("91,181", "++AAACBAACBACBCBCBCBAACBAAAAAA".to_owned()),
        ("1e300,1e300", "++AAACBAACBACBCBCBCBAACBAAAAAA".to_owned()),
        ("51.50853,-0.12574", "+-AAAAABAABBBABACDBAACBAACCDCB".to_owned()),
        ("-0.000001,0.00001", format!("++{}C", a(27))),
    ] {
        assert_eq!(tile(place), wanted, "{place}");
    }
}

#[test]
fn what_is_no_place_is_null() {
    let values = || {
        some(&[
            "48.2", "abc,1", "nan,1", "", "inf,1", "10,20,30", "1e1, 2", "1,2", "3,4", "5,6", "7,8",
        ])
    };
    let stats = analyze(values(), EncodingType::LAT_LONG);
    let mut back = there_and_back(&values(), &stats);
    back.truncate(7);
    assert_eq!(
        back,
        [
            "null",
            "null",
            "null",
            "null",
            "null",
            "10.00000, 20.00000",
            "10.00000, 2.00000"
        ]
    );
    let types = types(EncodingType::LAT_LONG);
    let partial = analyze_partition(
        &some(&["here", "1,2", "there"]).table(),
        &types,
        SplitPart::Training,
        0,
        Compat::MostlyAi,
    )
    .unwrap();
    let error = reduce(
        &[partial],
        &types,
        Protection::Off,
        Compat::MostlyAi,
        TableKeys::default(),
        1,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"x\", row 1: \"here\" is not a pair of latitude and longitude, like 2 of 3 values of the column; the \
         encoding lat-long does not fit, use categorical"
    );
}

#[test]
fn places_come_back() {
    let values = || some(&["48.2,16.37", "-33.86785,151.20732", "91,181", "19.3,0.29"]);
    let stats = analyze(values(), EncodingType::LAT_LONG);
    assert_eq!(
        there_and_back(&values(), &stats),
        [
            "48.20000, 16.37000",
            "-33.86785, 151.20732",
            "90.00000, 180.00000",
            "19.29999, 0.29000"
        ]
    );
}

const PLACES: [&str; 6] = [
    "48.2,16.37",
    "-33.86785,151.20732",
    "51.50853,-0.12574",
    "40.7,-74",
    "1.35,103.8",
    "-22.9,-43.2",
];

#[test]
fn squares_that_many_rows_share_have_codes() {
    let values = || some(&PLACES.repeat(100));
    let stats = analyze(values(), EncodingType::LAT_LONG);
    let cardinalities = &entry(&stats)["cardinalities"];
    for level in [12, 14, 16, 18, 20, 22, 24, 26] {
        assert_eq!(cardinalities[format!("QUAD{level}")], 7);
    }
    let all = codes(&values(), &stats);
    assert_eq!(all[0].len(), 8 + 30);
    assert_eq!(all[0][..8], [1; 8]);
    // Five squares are needed for a level, and twenty rows for a square.
    let few = analyze(
        some(&[PLACES[..4].repeat(20), PLACES[4..].repeat(19)].concat()),
        EncodingType::LAT_LONG,
    );
    assert_eq!(entry(&few)["quad_codes"], json!({}));
    let enough = analyze(some(&PLACES[..5].repeat(20)), EncodingType::LAT_LONG);
    assert_eq!(entry(&enough)["cardinalities"]["QUAD26"], 6);
    // Unknown places are rare; unseen characters are the first of their position.
    let north_pole = codes(&some(&["90,0"]), &enough);
    assert_eq!(north_pole[0][..8], [0; 8]);
}

#[test]
fn a_column_without_places_has_placeholders() {
    let stats = analyze(texts(&[None, None]), EncodingType::LAT_LONG);
    let entry = entry(&stats);
    assert_eq!(entry["quad_codes"], json!({}));
    assert_eq!(entry["quadtile_characters"]["codes"]["P0"], json!({"+": 0}));
    assert_eq!(entry["quadtile_characters"]["codes"]["P29"], json!({"A": 0}));
    let row = codes(&texts(&[None]), &stats).remove(0);
    assert_eq!(row, [vec![0; 30], vec![1]].concat());
    assert_eq!(there_and_back(&texts(&[None]), &stats), ["null"]);
}

#[test]
fn statistics_must_be_consistent() {
    let stats = analyze(some(&PLACES.repeat(20)), EncodingType::LAT_LONG)
        .to_json()
        .unwrap();
    let error = |from: &str, to: &str| {
        assert!(stats.contains(from), "{from}");
        TableStats::from_json(&stats.replace(from, to))
            .unwrap_err()
            .to_string()
    };
    for (from, to, key) in [
        ("QUAD12", "QUAD13", "quad_codes"),
        ("++AAAAABACDAAB\"", "++AAAAABACDAA\"", "quad_codes"),
        ("\"P29\"", "\"P30\"", "quadtile_characters"),
        ("\"-\": 1", "\"=\": 1", "quadtile_characters"),
        ("\"P0\": 2", "\"P0\": 3", "cardinalities"),
    ] {
        assert!(error(from, to).contains(&format!("columns.x.{key}: ")), "{from}");
    }
}
