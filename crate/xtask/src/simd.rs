//! What the shipped wasm is made of: its SIMD instructions, counted.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use wasmparser::{Operator, Parser, Payload};

use crate::paths;

/// How often each of these is in a wasm file.
type Counts = BTreeMap<&'static str, usize>;

/// What every file's kernels are made of.
const NEEDED: [&str; 3] = ["i32x4.dot_i16x8_s", "i8x16.popcnt", "f32x4.mul"];
const LOOK_UP: &str = "i8x16.swizzle";
const RELAXED_LOOK_UP: &str = "i8x16.relaxed_swizzle";
const RELAXED_DOT: &str = "i32x4.relaxed_dot_i8x16_i7x16_add_s";
const RELAXED_PAIRS: &str = "i16x8.relaxed_dot_i8x16_i7x16_s";

/// Asks that each file has the instructions that its kernels are made of, and that those for every engine have none
/// that some engine lacks.
pub fn check() -> Result<()> {
    let [app, vectors] = [
        paths::site().join("photorecall"),
        paths::npm().join("dist/vectors"),
    ];
    for (folder, own) in [
        (app.clone(), &[LOOK_UP][..]),
        (
            app.join("relaxed"),
            &[RELAXED_LOOK_UP, RELAXED_DOT, RELAXED_PAIRS][..],
        ),
        (vectors.clone(), &[LOOK_UP][..]),
        (vectors.join("relaxed"), &[RELAXED_LOOK_UP][..]),
    ] {
        let wasm = folder.join("photorecall_bg.wasm");
        let counts = count(&wasm)?;
        println!("SIMD instructions in {}: {counts:?}", wasm.display());
        for needed in NEEDED.iter().chain(own) {
            ensure!(
                counts.contains_key(needed),
                "{} has no {needed}: a kernel was not vectorised",
                wasm.display()
            );
        }
        let relaxed = [RELAXED_LOOK_UP, RELAXED_DOT, RELAXED_PAIRS];
        ensure!(
            own != [LOOK_UP] || relaxed.iter().all(|it| !counts.contains_key(it)),
            "{} is for every engine and has relaxed instructions",
            wasm.display()
        );
    }
    Ok(())
}

fn count(wasm: &Path) -> Result<Counts> {
    let bytes = std::fs::read(wasm).with_context(|| wasm.display().to_string())?;
    let mut counts = Counts::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        if let Payload::CodeSectionEntry(body) = payload? {
            let mut operators = body.get_operators_reader()?;
            while !operators.eof() {
                if let Some(name) = name(&operators.read()?) {
                    *counts.entry(name).or_default() += 1;
                }
            }
        }
    }
    Ok(counts)
}

/// The instructions that kernels cannot do without.
fn name(operator: &Operator<'_>) -> Option<&'static str> {
    match operator {
        Operator::I32x4DotI16x8S => Some("i32x4.dot_i16x8_s"),
        Operator::I8x16Swizzle => Some(LOOK_UP),
        Operator::I8x16RelaxedSwizzle => Some(RELAXED_LOOK_UP),
        Operator::I8x16Popcnt => Some("i8x16.popcnt"),
        Operator::F32x4Mul => Some("f32x4.mul"),
        Operator::I32x4RelaxedDotI8x16I7x16AddS => Some(RELAXED_DOT),
        Operator::I16x8RelaxedDotI8x16I7x16S => Some(RELAXED_PAIRS),
        _ => None,
    }
}
