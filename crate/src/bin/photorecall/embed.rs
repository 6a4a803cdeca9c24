//! Embeddings as numbers, for scripts and for parity checks.

use anyhow::Context;

use crate::args::EmbedArgs;
use crate::{Outcome, model, photo};

/// `photorecall embed`: photos first, then texts, each in the order given.
pub fn embed(args: &EmbedArgs) -> anyhow::Result<Outcome> {
    let model = model::load(args.model.or_shipped())?;
    let mut rows: Vec<(String, Vec<f32>)> = Vec::new();
    for file in &args.image {
        let name = file.display().to_string();
        let bytes = std::fs::read(file).with_context(|| name.clone())?;
        let embedding = photo::embed_file(&model, &bytes, false).with_context(|| name.clone())?;
        rows.push((name, embedding));
    }
    for text in &args.text {
        rows.push((text.clone(), model.text()?.embed(text)?));
    }
    if args.json {
        let array: Vec<_> = rows
            .iter()
            .map(|(input, embedding)| serde_json::json!({"input": input, "embedding": embedding}))
            .collect();
        say!("{}", serde_json::to_string(&array)?);
    } else {
        for (_, embedding) in &rows {
            let numbers: Vec<String> = embedding.iter().map(f32::to_string).collect();
            say!("{}", numbers.join(" "));
        }
    }
    Ok(Outcome::Done)
}
