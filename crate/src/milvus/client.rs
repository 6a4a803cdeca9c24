//! Calls of a Milvus server: sent again when it is busy, its refusals told.

use std::time::Duration;

use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::note::{Note, pair};
use super::proto::{self, Status};
use crate::error::{Error, Result};

/// The largest answer: 16,384 rows with all that is known of them.
const MAX_ANSWER_BYTES: usize = 512 << 20;
/// How often a call is sent before a busy server is given up, with twice the pause from time to time.
const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const CALL_LIMIT: Duration = Duration::from_secs(300);
/// How long an export waits for the index.
const SETTLE_LIMIT: Duration = Duration::from_secs(1800);
const SETTLE_PAUSE: Duration = Duration::from_secs(1);
/// Segments of fewer rows have no index: all of them are compared.
const FEWEST_INDEXED: i64 = 1024;
/// `RateLimit` of servers before 2.3, `ErrServiceRateLimit` since.
const RATE_LIMITS: [i32; 2] = [49, 8];
/// `CollectionNotExists` of servers before 2.3, `ErrCollectionNotFound` since.
const NO_COLLECTION: [i32; 2] = [4, 100];

/// A connection to a server.
#[derive(Debug, Clone)]
pub struct Client {
    uri: String,
    channel: Channel,
}

/// An answer that says how the call went.
pub(super) trait Answer: Message + Default + 'static {
    fn status(&self) -> Option<&Status>;
}

macro_rules! answers {
    ($($name:ident),*) => {$(
        impl Answer for proto::$name {
            fn status(&self) -> Option<&Status> {
                self.status.as_ref()
            }
        }
    )*};
}
answers!(
    DescribeCollectionResponse,
    GetLoadStateResponse,
    GetQuerySegmentInfoResponse,
    QueryResults,
    SearchResults,
    ShowPartitionsResponse,
    StatusResponse
);

impl Answer for Status {
    fn status(&self) -> Option<&Status> {
        Some(self)
    }
}

impl Status {
    fn is_done(&self) -> bool {
        self.code == 0 && self.error_code == 0
    }

    fn is_busy(&self) -> bool {
        self.retriable || self.is_one_of(RATE_LIMITS)
    }

    fn is_one_of(&self, [old, new]: [i32; 2]) -> bool {
        self.error_code == old || self.code == new
    }
}

impl Client {
    /// Connects to a server, `http://host:port`.
    ///
    /// # Errors
    /// [`Error::Milvus`] when the address is none, or no server answers there.
    pub async fn connect(uri: &str) -> Result<Self> {
        let wrong = |reason: String| Error::Milvus {
            uri: uri.to_owned(),
            reason,
        };
        if !uri.starts_with("http://") {
            return Err(wrong(
                "not an address of the form http://host:port (a server with TLS is reached through a \
                 proxy or a tunnel)"
                    .to_owned(),
            ));
        }
        let endpoint = Endpoint::from_shared(uri.to_owned())
            .map_err(|error| wrong(format!("not an address: {error}")))?
            .connect_timeout(CONNECT_LIMIT)
            .timeout(CALL_LIMIT);
        let channel = endpoint.connect().await;
        let channel = channel.map_err(|error| wrong(no_answer(&causes(&error))))?;
        Ok(Self {
            uri: uri.to_owned(),
            channel,
        })
    }

    /// One call of the service, sent again while the server is busy.
    pub(super) async fn call<Q, A>(&self, method: &str, request: Q) -> Result<A>
    where
        Q: Message + Clone + 'static,
        A: Answer,
    {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.try_call::<Q, A>(method, request.clone()).await {
                Ok(answer) if !answer.status().is_some_and(Status::is_busy) => {
                    return self.checked(method, answer);
                }
                Err(status) if !is_busy(&status) => return Err(self.refused(method, &status)),
                Ok(_) | Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
        let last = self.try_call::<Q, A>(method, request).await;
        self.checked(
            method,
            last.map_err(|status| self.refused(method, &status))?,
        )
    }

    async fn try_call<Q, A>(&self, method: &str, request: Q) -> Result<A, tonic::Status>
    where
        Q: Message + 'static,
        A: Answer,
    {
        let mut grpc = Grpc::new(self.channel.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES);
        grpc.ready()
            .await
            .map_err(|error| tonic::Status::unavailable(causes(&error)))?;
        let path = format!("/milvus.proto.milvus.MilvusService/{method}");
        let path = PathAndQuery::try_from(path).expect("a method's name");
        let codec: ProstCodec<Q, A> = ProstCodec::default();
        let answer = grpc.unary(tonic::Request::new(request), path, codec).await;
        answer.map(tonic::Response::into_inner)
    }

    fn checked<A: Answer>(&self, method: &str, answer: A) -> Result<A> {
        match answer.status() {
            Some(status) if !status.is_done() => Err(self.error(method, &status.reason)),
            _ => Ok(answer),
        }
    }

    fn refused(&self, method: &str, status: &tonic::Status) -> Error {
        let message = status.message();
        match status.code() {
            tonic::Code::Unavailable => self.error(method, &no_answer(message)),
            code => self.error(method, &format!("{code:?}: {message}")),
        }
    }

    /// An error of this server's.
    pub(super) fn error(&self, to: &str, reason: &str) -> Error {
        Error::Milvus {
            uri: self.uri.clone(),
            reason: format!("{to}: {reason}"),
        }
    }

    /// The note of a collection; `None` when there is no such collection.
    ///
    /// # Errors
    /// [`Error::Collection`] when this software did not make it.
    pub async fn note(&self, collection: &str) -> Result<Option<Note>> {
        const METHOD: &str = "DescribeCollection";
        let request = proto::CollectionRequest {
            collection_name: collection.to_owned(),
        };
        let described = self
            .try_call::<_, proto::DescribeCollectionResponse>(METHOD, request.clone())
            .await;
        if let Ok(described) = &described
            && let Some(status) = &described.status
            && status.is_one_of(NO_COLLECTION)
        {
            return Ok(None);
        }
        let described = self.call(METHOD, request).await?;
        Note::of(collection, &described).map(Some)
    }

    /// Makes a collection ready to be searched: in memory.
    ///
    /// # Errors
    /// [`Error::Milvus`] when the server cannot.
    pub async fn load(&self, collection: &str) -> Result<()> {
        let request = proto::CollectionRequest {
            collection_name: collection.to_owned(),
        };
        let asked = proto::GetLoadStateRequest {
            collection_name: collection.to_owned(),
        };
        let mut pause = FIRST_PAUSE;
        let state = |pause| {
            let asked = asked.clone();
            async move {
                tokio::time::sleep(pause).await;
                let answer: proto::GetLoadStateResponse = self.call("GetLoadState", asked).await?;
                Ok::<_, Error>(answer.state)
            }
        };
        if state(Duration::ZERO).await? == proto::LOADED {
            return Ok(());
        }
        self.call::<_, Status>("LoadCollection", request).await?;
        // A server that was killed reads its log first: about a minute.
        for _ in 0..14 {
            if state(pause).await? == proto::LOADED {
                return Ok(());
            }
            pause = (pause * 2).min(Duration::from_secs(30));
        }
        Err(self.error(
            "LoadCollection",
            "it is still loading after minutes; try again",
        ))
    }

    /// Waits until the index over so many rows is built and searched, where the server tells: until then
    /// rows are in a rough one, which finds little of what words ask for. The server goes on when nobody
    /// waits.
    pub(super) async fn settle(&self, collection: &str, rows: usize) {
        const METHOD: &str = "GetQuerySegmentInfo";
        let request = proto::CollectionRequest {
            collection_name: collection.to_owned(),
        };
        let start = std::time::Instant::now();
        while start.elapsed() < SETTLE_LIMIT {
            let told = self.call::<_, proto::GetQuerySegmentInfoResponse>(METHOD, request.clone());
            match told.await {
                Ok(told) if !is_settled(&told.infos, rows) => {
                    tokio::time::sleep(SETTLE_PAUSE).await;
                }
                // Done, or a server that has no such segments: milvus-lite.
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Counts the rows of partitions (all of them, when none is named) for which an expression holds.
    pub(super) async fn count(
        &self,
        collection: &str,
        expr: &str,
        partitions: &[String],
    ) -> Result<usize> {
        let fields = self
            .query(collection, expr, &["count(*)"], partitions)
            .await?;
        let longs = fields.first().and_then(super::row::longs);
        let count = longs.and_then(|longs| longs.first().copied());
        count
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| self.error("Query", "count(*) gave no number"))
    }

    /// Columns of the rows for which an expression holds.
    pub(super) async fn query(
        &self,
        collection: &str,
        expr: &str,
        columns: &[&str],
        partitions: &[String],
    ) -> Result<Vec<proto::FieldData>> {
        self.query_with(collection, expr, columns, partitions, Vec::new())
            .await
    }

    /// Columns of at most `most` rows for which an expression holds, of whichever they are.
    pub(super) async fn query_few(
        &self,
        collection: &str,
        expr: &str,
        columns: &[&str],
        most: usize,
    ) -> Result<Vec<proto::FieldData>> {
        let limit = vec![pair("limit", most)];
        self.query_with(collection, expr, columns, &[], limit).await
    }

    async fn query_with(
        &self,
        collection: &str,
        expr: &str,
        columns: &[&str],
        partitions: &[String],
        query_params: Vec<proto::KeyValuePair>,
    ) -> Result<Vec<proto::FieldData>> {
        let request = proto::QueryRequest {
            collection_name: collection.to_owned(),
            expr: expr.to_owned(),
            output_fields: columns.iter().map(|&name| name.to_owned()).collect(),
            partition_names: partitions.to_vec(),
            query_params,
            consistency_level: 0,
        };
        let answer: proto::QueryResults = self.call("Query", request).await?;
        // In the order that they were asked for in.
        let mut fields = answer.fields_data;
        fields.sort_by_key(|field| columns.iter().position(|&name| name == field.field_name));
        fields.retain(|field| columns.contains(&field.field_name.as_str()));
        Ok(fields)
    }

    /// The rows nearest to a vector: their photos as JSON, and the server's scores.
    pub(super) async fn nearest(
        &self,
        collection: &str,
        search: &Nearest<'_>,
    ) -> Result<(Vec<String>, Vec<f32>)> {
        let group = proto::PlaceholderGroup {
            placeholders: vec![proto::PlaceholderValue {
                tag: "$0".to_owned(),
                kind: proto::data_type::FLOAT_VECTOR,
                values: vec![search.vector.iter().flat_map(|x| x.to_le_bytes()).collect()],
            }],
        };
        let columns = if search.with_photos {
            vec!["photo".to_owned()]
        } else {
            Vec::new()
        };
        let request = proto::SearchRequest {
            collection_name: collection.to_owned(),
            partition_names: search.partitions.to_vec(),
            dsl: search.expr.to_owned(),
            placeholder_group: group.encode_to_vec(),
            dsl_type: proto::EXPRESSION,
            output_fields: columns,
            search_params: vec![
                pair("anns_field", "vector"),
                pair("topk", search.k),
                pair("metric_type", search.metric),
                pair("params", &search.params),
                pair("round_decimal", -1),
            ],
            nq: 1,
            consistency_level: 0,
        };
        let answer: proto::SearchResults = self.call("Search", request).await?;
        let results = answer.results.unwrap_or_default();
        let photos = results
            .fields_data
            .iter()
            .find(|of| of.field_name == "photo");
        let photos = photos.and_then(super::row::texts).unwrap_or_default();
        if search.with_photos && photos.len() != results.scores.len() {
            return Err(self.error("Search", "it gave another number of photos than of scores"));
        }
        Ok((photos, results.scores))
    }
}

/// A search by vector.
pub(super) struct Nearest<'a> {
    pub vector: &'a [f32],
    pub k: usize,
    pub expr: &'a str,
    pub partitions: &'a [String],
    pub metric: &'static str,
    /// JSON, by the kind of index.
    pub params: String,
    /// Whether the photos are wanted, or the scores alone.
    pub with_photos: bool,
}

/// What may pass: the server is starting, or has too much to do.
fn is_busy(status: &tonic::Status) -> bool {
    use tonic::Code::{ResourceExhausted, Unavailable};
    matches!(status.code(), Unavailable | ResourceExhausted)
}

/// Whether sealed segments have all rows, with an index where they are large enough. Growing segments are
/// not told of.
fn is_settled(sealed: &[proto::QuerySegmentInfo], rows: usize) -> bool {
    let indexed = |of: &proto::QuerySegmentInfo| of.index_id != 0 || of.num_rows < FEWEST_INDEXED;
    let there: i64 = sealed.iter().map(|segment| segment.num_rows).sum();
    there >= rows as i64 && sealed.iter().all(indexed)
}

fn no_answer(causes: &str) -> String {
    format!("no server answers there ({causes}); is it started?")
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        told = format!("{told}: {cause}");
        next = cause.source();
    }
    told
}
