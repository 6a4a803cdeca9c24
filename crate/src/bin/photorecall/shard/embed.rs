//! The photos of a plan, embedded in order.

use anyhow::Context;
use photorecall::encoder::Model;
use photorecall::image::Limits;
use photorecall::library::Photo;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::args::WorkArgs;
use super::plan::Plan;
use super::source::{Input, Unread};
use crate::budget::Budget;
use crate::photo::{self, Picture};

/// Photos that are in work at once, for each thread.
const EACH: usize = 16;

/// A photo with its vector, or why it was left out.
pub type Embedded = Result<(Photo, Vec<f32>), String>;

/// Embeds `inputs`, and hands them over in their order: a slow receiver stops the reading.
///
/// # Errors
/// When a photo could not be read for a reason that may pass.
pub fn embed(
    plan: &Plan,
    model: &Model,
    work: &WorkArgs,
    (inputs, count): (impl Iterator<Item = anyhow::Result<Input>>, u64),
    mut take: impl FnMut(Input, Embedded) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let pool = work.run.pool()?;
    let memory = Budget::new(Limits::default().max_memory_bytes);
    let bar = work.run.tell.bar(count);
    let mut inputs = inputs.peekable();
    while inputs.peek().is_some() {
        let some = inputs.by_ref().take(EACH * pool.current_num_threads());
        let some: Vec<Input> = some.collect::<anyhow::Result<_>>()?;
        let one = |input: &Input| embed_one(model, &memory, plan.trim_borders, input);
        let done: Vec<anyhow::Result<Embedded>> =
            pool.install(|| some.par_iter().map(one).collect());
        for (input, embedded) in some.into_iter().zip(done) {
            bar.inc(1);
            take(input, embedded?)?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn embed_one(
    model: &Model,
    memory: &Budget,
    trim: bool,
    input: &Input,
) -> anyhow::Result<Embedded> {
    if let Err(error) = photo::require_size(input.bytes) {
        return Ok(Err(format!("{error:#}")));
    }
    let file = memory.take(input.bytes);
    let bytes = match input.read() {
        Ok(bytes) => bytes,
        Err(Unread::Gone(reason)) => return Ok(Err(reason)),
        Err(Unread::Failed(error)) => return Err(error),
    };
    // One share at a time: two workers that hold one and wait for another wait for ever.
    drop(file);
    let facts = photo::facts(&input.path, input.modified_ms, &bytes);
    let embedded = Picture::decode(facts, &bytes, model, memory)
        .and_then(|picture| picture.embed(model, trim))
        .map_err(|error| format!("{error:#}"));
    Ok(embedded)
}

/// A shard's number, if the plan has it.
pub fn require_shard(plan: &Plan, shard: u32) -> anyhow::Result<()> {
    (shard < plan.shards)
        .then_some(())
        .with_context(|| format!("no shard {shard}: the plan has 0 to {}", plan.shards - 1))
}
