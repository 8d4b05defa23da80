//! The same seed gives the same bytes for any number of threads, stage by stage or in one go.

use std::path::Path;
use std::process::Command;

const WEIGHTS: &str = "ModelStore/model-data/model-weights.safetensors";

fn argn(threads: &str, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_argn"));
    let output = command
        .args(arguments)
        .arg("--quiet")
        .env("RAYON_NUM_THREADS", threads)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "argn {arguments:?}: {error}");
}

fn table(path: &Path) {
    let mut text = String::from("day,kind,amount,code\n");
    for i in 0..1_500u64 {
        let x = i.wrapping_mul(2_862_933_555_777_941_757) >> 40;
        let (month, day, kind) = (1 + x % 12, 1 + x % 28, ["red", "green", "blue"][(x % 3) as usize]);
        text += &format!(
            "2021-{month:02}-{day:02},{kind},{}.{:02},{:03}\n",
            x % 900,
            x % 100,
            x % 40
        );
    }
    std::fs::write(path, text).unwrap();
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn threads_and_stages_do_not_change_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    table(&path("table.csv"));
    for threads in ["1", "2"] {
        let (csv, ws) = (text("table.csv"), text(&format!("ws{threads}")));
        argn(
            threads,
            &["fit", &csv, "-w", &ws, "--seed", "4", "--max-epochs", "3"],
        );
        for ending in ["csv", "parquet", "csv.gz"] {
            let out = text(&format!("rows{threads}.{ending}"));
            argn(
                threads,
                &["sample", "-w", &ws, "-n", "12345", "--seed", "8", "-o", &out],
            );
        }
    }
    assert!(
        bytes(&path("ws1").join(WEIGHTS)) == bytes(&path("ws2").join(WEIGHTS)),
        "the weights differ"
    );
    for ending in ["csv", "parquet", "csv.gz"] {
        let [one, two] = ["1", "2"].map(|threads| bytes(&path(&format!("rows{threads}.{ending}"))));
        assert!(one == two, "the rows as {ending} differ");
    }
    let (csv, ws) = (text("table.csv"), text("stages"));
    argn("2", &["split", &csv, "-w", &ws, "--seed", "4"]);
    for stage in ["analyze", "encode"] {
        argn("2", &[stage, "-w", &ws]);
    }
    argn("2", &["train", "-w", &ws, "--max-epochs", "3"]);
    assert!(
        bytes(&path("ws1").join(WEIGHTS)) == bytes(&path("stages").join(WEIGHTS)),
        "stage by stage is the same"
    );

    std::fs::remove_dir_all(path("stages").join("OriginalData")).unwrap();
    argn(
        "2",
        &[
            "generate",
            "-w",
            &ws,
            "-n",
            "12345",
            "--seed",
            "8",
            "-o",
            &text("stages.csv"),
        ],
    );
    argn("2", &["export", "-w", &ws, "-o", &text("model.argn")]);
    argn(
        "2",
        &[
            "sample",
            "-w",
            &text("model.argn"),
            "-n",
            "12345",
            "--seed",
            "8",
            "-o",
            &text("packed.csv"),
        ],
    );
    assert!(
        bytes(&path("rows1.csv")) == bytes(&path("stages.csv")),
        "the model store alone is enough"
    );
    assert!(
        bytes(&path("rows1.csv")) == bytes(&path("packed.csv")),
        "a packed model draws the same rows"
    );
    let rows = String::from_utf8(bytes(&path("rows1.csv"))).unwrap();
    assert!(
        rows.lines()
            .skip(1)
            .all(|row| row.ends_with(|c: char| c.is_ascii_digit())),
        "codes come back"
    );
    assert!(
        rows.lines()
            .skip(1)
            .all(|row| row.rsplit(',').next().is_some_and(|code| code.len() == 3)),
        "leading zeros stay"
    );
}
