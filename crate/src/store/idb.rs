//! A library in IndexedDB: the same commits and the same bytes as in files, one transaction a commit.
//!
//! ```text
//! database photorecall:NAME
//!   library     "manifest" ─▶ the manifest's bytes
//!   segments    name       ─▶ a segment's bytes
//!   thumbnails  path       ─▶ a small JPEG
//! ```
//! A tab that is closed in the middle of a transaction leaves the library as it was before it.

use idb::{
    Database, DatabaseEvent, Factory, ObjectStore, ObjectStoreParams, Transaction, TransactionMode,
};
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::error::{Error, Result};
use crate::library::{Commit, Opened, Opening};

const LIBRARY: &str = "library";
const SEGMENTS: &str = "segments";
const THUMBNAILS: &str = "thumbnails";
const MANIFEST: &str = "manifest";

impl From<idb::Error> for Error {
    fn from(error: idb::Error) -> Self {
        Self::IndexedDb {
            reason: error.to_string(),
        }
    }
}

/// A change to the small pictures, kept in the transaction of the commit that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thumbnail {
    /// The picture of a path.
    Put(String, Vec<u8>),
    /// The path has a picture no more.
    Remove(String),
    /// The picture of the first path is now the second's.
    Rename(String, String),
}

/// A database that holds a library.
#[derive(Debug)]
pub struct IdbStore {
    database: Database,
}

fn database_name(library: &str) -> String {
    format!("photorecall:{library}")
}

impl IdbStore {
    /// Opens the database of the library called `name`, and makes it when it is not there.
    ///
    /// # Errors
    /// [`Error::IndexedDb`] when the browser refuses, as in some private windows.
    pub async fn open(name: &str) -> Result<Self> {
        let mut request = Factory::new()?.open(&database_name(name), Some(1))?;
        request.on_upgrade_needed(|event| {
            // A failure here fails the request as well, which tells it below.
            let Ok(database) = event.database() else {
                return;
            };
            for store in [LIBRARY, SEGMENTS, THUMBNAILS] {
                let _ = database.create_object_store(store, ObjectStoreParams::new());
            }
        });
        Ok(Self {
            database: request.await?,
        })
    }

    /// Removes the database of the library called `name`. Close every store of it first.
    ///
    /// # Errors
    /// [`Error::IndexedDb`] when the browser refuses.
    pub async fn destroy(name: &str) -> Result<()> {
        Ok(Factory::new()?.delete(&database_name(name))?.await?)
    }

    /// Lets go of the database.
    pub fn close(&self) {
        self.database.close();
    }

    /// Reads and checks the library; `None` when the database has none.
    ///
    /// # Errors
    /// When the manifest is damaged or too new. A damaged segment is no error: it is set aside.
    pub async fn load(&self) -> Result<Option<Opened>> {
        let transaction = self
            .database
            .transaction(&[LIBRARY, SEGMENTS], TransactionMode::ReadOnly)?;
        let library = transaction.object_store(LIBRARY)?;
        let Some(manifest) = get(&library, MANIFEST).await? else {
            return Ok(None);
        };
        let segments = transaction.object_store(SEGMENTS)?;
        let mut opening = Opening::new(&manifest)?;
        while let Some(name) = opening.needs().map(str::to_owned) {
            let bytes = get(&segments, &name).await?;
            opening.take(bytes.ok_or(Error::Missing { name }))?;
        }
        Ok(Some(opening.finish()))
    }

    /// Keeps a commit and the pictures that belong to it, all or nothing.
    ///
    /// # Errors
    /// [`Error::Quota`] when the disk is full, else [`Error::IndexedDb`]: everything is then as it was before.
    pub async fn store(&self, commit: Option<&Commit>, thumbnails: &[Thumbnail]) -> Result<()> {
        let stores = [LIBRARY, SEGMENTS, THUMBNAILS];
        let transaction = self
            .database
            .transaction(&stores, TransactionMode::ReadWrite)?;
        if let Some(commit) = commit {
            let segments = transaction.object_store(SEGMENTS)?;
            for (name, bytes) in &commit.put {
                put(&segments, name, bytes)?;
            }
            for name in &commit.drop {
                segments.delete(JsValue::from(name))?;
            }
            put(
                &transaction.object_store(LIBRARY)?,
                MANIFEST,
                &commit.manifest,
            )?;
        }
        let pictures = transaction.object_store(THUMBNAILS)?;
        for change in thumbnails {
            apply(&pictures, change).await?;
        }
        finish(transaction).await
    }

    /// The manifest as it is stored; `None` when the database has no library.
    ///
    /// # Errors
    /// [`Error::IndexedDb`] when the database cannot be read.
    pub async fn manifest(&self) -> Result<Option<Vec<u8>>> {
        self.value(LIBRARY, MANIFEST).await
    }

    /// A segment's bytes as they are stored.
    ///
    /// # Errors
    /// [`Error::IndexedDb`] when the database cannot be read.
    pub async fn segment(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.value(SEGMENTS, name).await
    }

    async fn value(&self, store: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let transaction = self
            .database
            .transaction(&[store], TransactionMode::ReadOnly)?;
        get(&transaction.object_store(store)?, key).await
    }

    /// The small JPEG of a photo.
    ///
    /// # Errors
    /// [`Error::IndexedDb`] when the database cannot be read.
    pub async fn thumbnail(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.value(THUMBNAILS, path).await
    }
}

async fn get(store: &ObjectStore, key: &str) -> Result<Option<Vec<u8>>> {
    let value = store.get(JsValue::from(key))?.await?;
    Ok(value
        .and_then(|value| value.dyn_into::<Uint8Array>().ok())
        .map(|bytes| bytes.to_vec()))
}

/// Asks for a value to be kept. A failure ends the transaction, which is where it is told.
fn put(store: &ObjectStore, key: &str, bytes: &[u8]) -> Result<()> {
    store.put(&Uint8Array::from(bytes), Some(&JsValue::from(key)))?;
    Ok(())
}

async fn apply(pictures: &ObjectStore, change: &Thumbnail) -> Result<()> {
    match change {
        Thumbnail::Put(path, jpeg) => put(pictures, path, jpeg)?,
        Thumbnail::Remove(path) => {
            pictures.delete(JsValue::from(path))?;
        }
        Thumbnail::Rename(from, to) => {
            if let Some(jpeg) = get(pictures, from).await? {
                put(pictures, to, &jpeg)?;
                pictures.delete(JsValue::from(from))?;
            }
        }
    }
    Ok(())
}

async fn finish(transaction: Transaction) -> Result<()> {
    let transaction = JsValue::from(transaction.commit()?);
    let ended = Transaction::try_from(transaction.clone())?.await;
    if ended.is_ok_and(|ended| ended.is_committed()) {
        return Ok(());
    }
    // Of a request that fails, the transaction says why when it has ended.
    let why = Transaction::try_from(transaction)?.error();
    let (name, reason) = why.map_or_else(Default::default, |why| {
        (text(&why, "name"), text(&why, "message"))
    });
    Err(match name.as_str() {
        "QuotaExceededError" => Error::Quota { reason },
        _ => Error::IndexedDb {
            reason: format!(
                "the browser gave the change up; the disk may be full ({name} {reason})"
            ),
        },
    })
}

fn text(object: &JsValue, property: &str) -> String {
    let value = Reflect::get(object, &JsValue::from(property));
    value
        .ok()
        .and_then(|value| value.as_string())
        .unwrap_or_default()
}
