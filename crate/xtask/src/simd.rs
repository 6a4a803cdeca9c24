//! What the shipped wasm is made of: its SIMD instructions, counted.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use wasmparser::{Operator, Parser, Payload};

use crate::paths;

/// How often each of these is in a wasm file.
type Counts = BTreeMap<&'static str, usize>;

/// Asks that both files have the instructions that their kernels are made of, and that the one for every
/// engine has none that some engine lacks.
pub fn check() -> Result<()> {
    let every = count(&paths::site().join("photorecall/photorecall_bg.wasm"))?;
    let relaxed = count(&paths::site().join("photorecall/relaxed/photorecall_bg.wasm"))?;
    println!("SIMD instructions, for every engine: {every:?}; with relaxed SIMD: {relaxed:?}");
    for (counts, name) in [(&every, "photorecall"), (&relaxed, "relaxed/photorecall")] {
        for needed in [
            "i32x4.dot_i16x8_s",
            "i8x16.swizzle",
            "i8x16.popcnt",
            "f32x4.mul",
        ] {
            let count = counts.get(needed).copied().unwrap_or(0);
            ensure!(
                count > 0,
                "{name}_bg.wasm has no {needed}: a kernel was not vectorised"
            );
        }
    }
    let dots = |counts: &Counts| counts.get("relaxed").copied().unwrap_or(0);
    ensure!(
        dots(&relaxed) > 0,
        "the relaxed file has no relaxed dot product"
    );
    ensure!(
        dots(&every) == 0,
        "the file for every engine has relaxed instructions"
    );
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
        Operator::I8x16Swizzle => Some("i8x16.swizzle"),
        Operator::I8x16Popcnt => Some("i8x16.popcnt"),
        Operator::F32x4Mul => Some("f32x4.mul"),
        Operator::I32x4RelaxedDotI8x16I7x16AddS => Some("relaxed"),
        _ => None,
    }
}
