//! Photos in an object store: S3, GCS, Azure, or behind HTTP. Keys and endpoints come from the environment
//! (`AWS_…`, `GOOGLE_…`, `AZURE_…`), as the stores' own tools take them.

#[cfg(not(feature = "cloud"))]
mod none {
    use anyhow::bail;

    use crate::shard::source::{Input, Take, Unread};

    fn absent<T>(address: &str) -> anyhow::Result<T> {
        bail!(
            "{address}: this program was built without object stores; build it with \
             `cargo build --release --features cloud`"
        )
    }

    pub fn list(address: &str, _: Take<'_>) -> anyhow::Result<()> {
        absent(address)
    }

    pub fn head(address: &str) -> anyhow::Result<Input> {
        absent(address)
    }

    pub fn read(input: &Input) -> Result<Vec<u8>, Unread> {
        absent(&input.at).map_err(Unread::Failed)
    }
}

#[cfg(feature = "cloud")]
mod cloud {
    use std::collections::HashMap;
    use std::path::Path as FilePath;
    use std::sync::{Arc, LazyLock, Mutex, PoisonError};

    use anyhow::Context;
    use futures_util::TryStreamExt;
    use object_store::path::Path;
    use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, parse_url_opts};
    use tokio::runtime::Runtime;
    use url::Url;

    use crate::scan;
    use crate::shard::source::{Input, Take, Unread, changed};

    type Store = Arc<dyn ObjectStore>;

    /// One for the whole program: a connection is used again by the next photo.
    static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(Runtime::new);
    static STORES: LazyLock<Mutex<HashMap<String, Store>>> = LazyLock::new(Mutex::default);

    fn runtime() -> anyhow::Result<&'static Runtime> {
        RUNTIME.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// The store of an address, and the place in it.
    fn open(address: &str) -> anyhow::Result<(Url, Store, Path)> {
        let url = Url::parse(address).with_context(|| address.to_owned())?;
        let told = || format!("{address}: not an object store's address");
        let options = std::env::vars().map(|(key, value)| (key.to_lowercase(), value));
        let key = url[..url::Position::BeforePath].to_owned();
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(&key) {
            let (_, path) = object_store::ObjectStoreScheme::parse(&url).with_context(told)?;
            return Ok((url, store.clone(), path));
        }
        let (store, path) = parse_url_opts(&url, options).with_context(told)?;
        let store: Store = Arc::from(store);
        stores.insert(key, store.clone());
        Ok((url, store, path))
    }

    fn input(url: &Url, meta: &ObjectMeta) -> Input {
        let host = &url[..url::Position::BeforePath];
        let name = url.host_str().unwrap_or_default();
        Input {
            path: format!("{name}/{}", meta.location),
            at: format!("{host}/{}", meta.location),
            offset: None,
            bytes: meta.size,
            modified_ms: meta.last_modified.timestamp_millis(),
        }
    }

    /// All photos below an address, in the store's order: by name.
    pub fn list(address: &str, take: Take<'_>) -> anyhow::Result<()> {
        let (url, store, prefix) = open(address)?;
        runtime()?.block_on(async {
            let mut objects = store.list(Some(&prefix));
            while let Some(meta) = objects.try_next().await.context(address.to_owned())? {
                if scan::is_photo(FilePath::new(meta.location.as_ref())) {
                    take(input(&url, &meta))?;
                }
            }
            Ok(())
        })
    }

    pub fn head(address: &str) -> anyhow::Result<Input> {
        let (url, store, path) = open(address)?;
        let meta = runtime()?.block_on(store.head(&path))?;
        Ok(input(&url, &meta))
    }

    pub fn read(input: &Input) -> Result<Vec<u8>, Unread> {
        let (_, store, path) = open(&input.at).map_err(Unread::Failed)?;
        let runtime = runtime().map_err(Unread::Failed)?;
        let read = runtime.block_on(async { store.get(&path).await?.bytes().await });
        match read {
            Ok(bytes) if bytes.len() as u64 == input.bytes => Ok(bytes.to_vec()),
            Ok(_) => Err(changed()),
            Err(object_store::Error::NotFound { .. }) => {
                Err(Unread::Gone("it is gone since the plan was made".into()))
            }
            Err(error) => Err(Unread::Failed(
                anyhow::Error::from(error).context(input.at.clone()),
            )),
        }
    }
}

#[cfg(feature = "cloud")]
pub use cloud::{head, list, read};
#[cfg(not(feature = "cloud"))]
pub use none::{head, list, read};
