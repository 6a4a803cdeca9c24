//! Searching over HTTP, for programs and pages of this machine, in the words of the command line.
//!
//! ```text
//! /search.json?q=QUERY&filter=FILTERS&like=PATH&like=PATH
//!             &k=50&offset=0&after=NEXT&min_score=COSINE&recall=high&names=1&group=0
//! ─▶ {"found": […], "next": …, "total": …, "likely": …, "deviations": …, "suggestion": …}
//! ```

use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};

use anyhow::{Context, bail, ensure};
use axum::http::{HeaderMap, header};
use clap::ValueEnum;
use percent_encoding::percent_decode_str;
use photorecall::encoder::Model;
use photorecall::library::ask::{Ask, Filter, suggest};
use photorecall::library::{Cursor, Library, Page, Query};

use crate::args::RecallArg;
use crate::search::{self, VERDICT_WORDS};
use crate::{browse, info, model};

/// How many photos, where nothing is said.
const K: usize = 50;

/// A library with its model, which is loaded when words are first asked for.
pub struct Searcher {
    library: RwLock<Library>,
    choice: String,
    /// Or why there is none.
    model: OnceLock<Result<Model, String>>,
}

/// What is asked for.
#[derive(Default)]
struct Asked {
    text: String,
    filter: String,
    like: Vec<String>,
    without_names: bool,
    query: Query,
}

impl Searcher {
    pub fn new(library: Library, choice: &str) -> Self {
        Self {
            library: RwLock::new(library),
            choice: choice.to_owned(),
            model: OnceLock::new(),
        }
    }

    /// The page of photos that the parameters of an address ask for, as JSON.
    pub fn answer(&self, parameters: &str) -> anyhow::Result<Vec<u8>> {
        let asked = Asked::read(parameters)?;
        let ask = Ask::parse(&asked.text)?;
        let filters = [ask.filter.clone(), search::filters(&asked.filter)?];
        let filters: Vec<Filter> = filters.into_iter().flatten().collect();
        let names = if asked.without_names {
            String::new()
        } else {
            ask.names()
        };
        let query = Query {
            embedding: self.embedding(&ask, &asked.like)?,
            names,
            filter: (!filters.is_empty()).then_some(Filter::All(filters)),
            exclude: asked.like,
            ..asked.query
        };
        let page: Page = self.read().page(&query)?;
        let suggestion = suggest(&asked.text, search::today());
        Ok(serde_json::to_vec(&search::page_json(
            &page,
            suggestion.as_ref(),
        ))?)
    }

    /// The library, to read.
    pub fn read(&self) -> RwLockReadGuard<'_, Library> {
        // A vocabulary is put in whole: a thread that panicked leaves the library as good as any.
        self.library.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn embedding(&self, ask: &Ask, like: &[String]) -> anyhow::Result<Option<Vec<f32>>> {
        let library = self.read();
        let example = |path: &String| {
            let vector = library.embedding(path);
            vector.with_context(|| format!("no photo {path} in the library"))
        };
        let examples: Vec<Vec<f32>> = like.iter().map(example).collect::<Result<_, _>>()?;
        drop(library);
        if ask.parts.is_empty() && examples.is_empty() {
            return Ok(None);
        }
        if ask.parts.is_empty() {
            return Ok(ask.embedding(&examples, |_| unreachable!("no words"))?);
        }
        let model = self.model()?;
        Ok(ask.embedding(&examples, |words| model.text()?.embed(words))?)
    }

    /// The model; the library has learnt usual words then.
    fn model(&self) -> anyhow::Result<&Model> {
        let load = || {
            let model = model::load(&self.choice)?;
            self.read().require_model(&info::model_ref(&model))?;
            let words = browse::usual_words(&model, VERDICT_WORDS)?;
            let mut library = self.library.write().unwrap_or_else(PoisonError::into_inner);
            library.set_vocabulary(words)?;
            anyhow::Ok(model)
        };
        let loaded = self
            .model
            .get_or_init(|| load().map_err(|error| format!("{error:#}")));
        loaded
            .as_ref()
            .map_err(|reason| anyhow::anyhow!("{reason}"))
    }
}

impl Asked {
    fn read(parameters: &str) -> anyhow::Result<Self> {
        let mut asked = Self {
            query: Query {
                k: K,
                ..Query::default()
            },
            ..Self::default()
        };
        for parameter in parameters.split('&').filter(|one| !one.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8();
            let value = value.with_context(|| format!("{name} is not valid UTF-8"))?;
            asked
                .take(name, &value)
                .with_context(|| format!("{name}={value}"))?;
        }
        Ok(asked)
    }

    fn take(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        let query = &mut self.query;
        match name {
            "q" => self.text = value.to_owned(),
            "filter" => self.filter = value.to_owned(),
            "like" => self.like.push(value.to_owned()),
            "k" => query.k = value.parse()?,
            "offset" => query.offset = value.parse()?,
            "after" => query.after = Some(value.parse::<Cursor>()?),
            "min_score" => {
                let least: f32 = value.parse()?;
                ensure!(least.is_finite(), "not a cosine");
                query.min_score = Some(least);
            }
            "recall" => match RecallArg::from_str(value, false) {
                Ok(recall) => query.recall = recall.into(),
                Err(_) => bail!("not fast, high or exact"),
            },
            "names" => self.without_names = !flag(value)?,
            "group" => query.grouped = flag(value)?,
            _ => bail!("no such parameter"),
        }
        Ok(())
    }
}

fn flag(value: &str) -> anyhow::Result<bool> {
    match value {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => bail!("not 0 or 1"),
    }
}

/// Whether a browser asks for its own page, or no browser asks: what a library holds is told to no other site,
/// not even by how long an answer takes.
pub fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(header::HeaderName::from_static("sec-fetch-site"));
    let origin = text(header::ORIGIN);
    let host = text(header::HOST).unwrap_or_default();
    site.is_none_or(|site| matches!(site, "same-origin" | "none"))
        && origin.is_none_or(|origin| origin.strip_prefix("http://") == Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_others_refused() {
        let asked = Asked::read(
            "q=a%20red+car&k=7&like=a.jpg&like=b.jpg&names=0&min_score=0.25&recall=exact",
        );
        let asked = asked.expect("valid");
        assert_eq!((asked.text.as_str(), asked.query.k), ("a red car", 7));
        assert_eq!(asked.like, ["a.jpg", "b.jpg"]);
        assert!(asked.without_names && asked.query.min_score == Some(0.25));
        for wrong in [
            "k=many",
            "K=1",
            "min_score=NaN",
            "recall=low",
            "group=yes",
            "after=x",
            "q=%ff",
        ] {
            assert!(Asked::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_sites_are_refused() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let header = |(name, value): &(&'static str, &'static str)| {
                let name = header::HeaderName::from_static(name);
                (name, header::HeaderValue::from_static(value))
            };
            pairs.iter().map(header).collect()
        };
        let host = ("host", "127.0.0.1:8417");
        assert!(is_own(&headers(&[host])));
        assert!(is_own(&headers(&[
            host,
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://127.0.0.1:8417")
        ])));
        for other in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "http://127.0.0.1:9000"),
            ("origin", "https://127.0.0.1:8417"),
            ("origin", "null"),
        ] {
            assert!(!is_own(&headers(&[host, other])), "{other:?}");
        }
    }
}
