//! What a library has, without a query.

use photorecall::encoder::Model;
use photorecall::library::{self, Cluster, Library, Month, Word};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde_json::{Value, json};

use crate::args::BrowseArgs;
use crate::source::Source;
use crate::{Outcome, info, model, search};

/// Paths that are shown of a cluster.
const SHOWN: usize = 5;

/// `photorecall browse`
pub fn browse(args: &BrowseArgs) -> anyhow::Result<Outcome> {
    let mut library = search::open(&args.library.library)?;
    if args.clusters {
        clusters(&mut library, args)?;
    } else {
        months(&library, args)?;
    }
    Ok(Outcome::Done)
}

fn months(library: &Library, args: &BrowseArgs) -> anyhow::Result<()> {
    let filter = args.filter.as_deref().map(search::filters).transpose()?;
    let months = library.months(filter.flatten().as_ref());
    if args.json {
        let month = |m: &Month| json!({"year": m.year, "month": m.month, "photos": m.photos, "newest": m.newest});
        let told: Vec<Value> = months.iter().map(month).collect();
        say!("{}", serde_json::to_string(&told)?);
        return Ok(());
    }
    for month in &months {
        say!(
            "{}-{:02}  {:6}  {}",
            month.year,
            month.month,
            month.photos,
            month.newest
        );
    }
    Ok(())
}

fn clusters(library: &mut Library, args: &BrowseArgs) -> anyhow::Result<()> {
    let source = Source::load(&args.library.library)?;
    let model = model::load(source.model(args.model.choice.as_deref()))?;
    library.require_model(&info::model_ref(&model))?;
    teach(library, &model, 1)?;
    let clusters = library.clusters(args.count);
    if args.json {
        let cluster = |c: &Cluster| json!({"word": c.word, "photos": c.photos});
        let told: Vec<Value> = clusters.iter().map(cluster).collect();
        say!("{}", serde_json::to_string(&told)?);
        return Ok(());
    }
    for cluster in &clusters {
        let word = cluster.word.as_deref().unwrap_or("-");
        say!("{word}: {} photos", cluster.photos.len());
        for path in cluster.photos.iter().take(SHOWN) {
            say!("  {path}");
        }
    }
    Ok(())
}

/// Gives the library every `step`-th usual word; a model without words leaves it without.
pub fn teach(library: &mut Library, model: &Model, step: usize) -> anyhow::Result<()> {
    Ok(library.set_vocabulary(usual_words(model, step)?)?)
}

/// Every `step`-th usual word with its vector; none where the model has no words.
pub fn usual_words(model: &Model, step: usize) -> anyhow::Result<Vec<Word>> {
    let Ok(text) = model.text() else {
        return Ok(Vec::new());
    };
    let words: Vec<&str> = library::vocabulary().step_by(step).collect();
    let embed = |word: &str| -> photorecall::Result<Word> {
        let vector = text.embed(&library::photo_of(word))?;
        let word = word.to_owned();
        Ok(Word { word, vector })
    };
    let words = words.into_par_iter().map(embed);
    Ok(words.collect::<Result<_, _>>()?)
}
