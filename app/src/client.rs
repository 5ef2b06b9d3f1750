//! The only file that knows the API's URLs. In the browser it fetches; on the server it calls the same router in process.

#[cfg(all(feature = "hydrate", not(feature = "ssr")))]
#[path = "client/browser.rs"]
mod transport;
#[cfg(feature = "ssr")]
#[path = "client/server.rs"]
mod transport;
#[cfg(not(any(feature = "ssr", feature = "hydrate")))]
#[path = "client/nowhere.rs"]
mod transport;

use api::{
    AddCorpus, ApiError, AskRequest, CorpusInfo, CorpusReading, DeriveRequest, DictionaryId, DictionaryInfo, ErrorKind, Health,
    HistoryPoint, ImportRequest, Job, JobId, KnownFeatures, LabelledTexts, ModelInfo, ModelSource, Overview, ParetoQuery,
    ParetoView, ResolvedSweep, SweepRequest, TokenisedExcerpt,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::link;

pub use transport::*;

/// What every call answers.
pub type Answer<T> = Result<T, ApiError>;

/// What the event stream tells.
#[derive(Debug)]
pub enum Heard {
    /// The stream is open (again): whatever happened before it was open was not heard.
    Open,
    /// The stream broke; it is being opened again.
    Lost,
    /// Something happened.
    Event(api::Event),
}

/// A request as the transports take it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// JSON.
    pub(crate) body: Option<String>,
}

/// Whether the server is there, and whether changing anything needs its token.
///
/// # Errors
/// As every call.
pub async fn health() -> Answer<Health> {
    get("/api/health").await
}

/// Keeps `token` if it is the server's: from then on it goes with every change, and those that waited for it go on.
///
/// # Errors
/// It is not.
pub async fn keep_token(token: &str) -> Answer<()> {
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        // it is not quoted: the field does not show it either
        let message = "this cannot be a token; expected letters, digits and signs of ASCII, without blanks";
        return Err(ApiError::new(ErrorKind::Forbidden, message));
    }
    accepted(exchange_with("/api/token", token).await?)?;
    keep(Some(token));
    go_on(true);
    Ok(())
}

/// Gives up: the changes that wait for the token end as they were refused.
pub fn give_no_token() {
    go_on(false);
}

/// Forgets the token.
pub fn forget_token() {
    keep(None);
}

/// Whether a token is kept.
pub fn has_token() -> bool {
    kept().is_some()
}

/// Names what is called when a change is refused for want of the right token. The change then waits for [`keep_token`] or
/// [`give_no_token`].
pub fn when_token_is_wanted(ask: impl Fn() + 'static) {
    when_refused(ask);
}

/// What the first page shows.
///
/// # Errors
/// As every call here: what the server answered, or that it could not be reached.
pub async fn overview() -> Answer<Overview> {
    get("/api/overview").await
}

/// Adds a model from a folder of the server's disk or from the hub.
///
/// # Errors
/// What is wrong with the folder or the name.
pub async fn add_model(source: &ModelSource) -> Answer<ModelInfo> {
    post("/api/models", source).await
}

/// Adds a model from the files chosen in the browser.
///
/// # Errors
/// What is wrong with the files.
pub async fn upload_model(name: &str, files: Files) -> Answer<ModelInfo> {
    read(upload("/api/models/upload", name, &files, &[]).await?)
}

/// Adds a corpus from a path of the server's disk or from the hub.
///
/// # Errors
/// What is wrong with the file or the name.
pub async fn add_corpus(asked: &AddCorpus) -> Answer<CorpusInfo> {
    post("/api/corpora", asked).await
}

/// How a corpus' first documents begin, in a model's tokens.
///
/// # Errors
/// A corpus or a model that is not there; a tokenizer that cannot be read.
pub async fn corpus_tokens(corpus: &str, model: &str) -> Answer<Vec<TokenisedExcerpt>> {
    get(&format!("/api/corpora/{corpus}/tokens?model={model}")).await
}

/// Adds a corpus from the files chosen in the browser.
///
/// # Errors
/// What is wrong with the files.
pub async fn upload_corpus(name: &str, files: Files, reading: &CorpusReading) -> Answer<CorpusInfo> {
    let said = [
        ("text_field", reading.text_field.clone()),
        ("keep_runs", reading.keep_runs.then(|| "true".to_owned())),
    ];
    let said = said.into_iter().filter_map(|(part, value)| Some((part, value?)));
    read(upload("/api/corpora/upload", name, &files, &said.collect::<Vec<_>>()).await?)
}

/// Fills in a sweep's defaults and checks it against its model.
///
/// # Errors
/// The first field that cannot be used.
pub async fn resolve(request: &SweepRequest) -> Answer<ResolvedSweep> {
    post("/api/sweeps/resolve", request).await
}

/// Enqueues a sweep; answers its jobs' numbers.
///
/// # Errors
/// The first field that cannot be used.
pub async fn start_sweep(request: &SweepRequest) -> Answer<Vec<JobId>> {
    start("/api/sweeps", request).await
}

/// Enqueues the runs that change dictionaries; answers their numbers.
///
/// # Errors
/// The first field that cannot be used.
pub async fn derive(request: &DeriveRequest) -> Answer<Vec<JobId>> {
    start("/api/derive", request).await
}

/// Reads another tool's dictionary and enqueues the run that measures it; answers its number.
///
/// # Errors
/// What is wrong with the file, or that it does not fit the model.
pub async fn import(request: &ImportRequest) -> Answer<Vec<JobId>> {
    start("/api/imports", request).await
}

/// Enqueues a question; answers its job's number.
///
/// # Errors
/// The first field that cannot be used.
pub async fn ask(request: &AskRequest) -> Answer<Vec<JobId>> {
    start("/api/questions", request).await
}

/// Sends labelled texts chosen in the browser; their path is then a question's.
///
/// # Errors
/// The first line that is no labelled text.
pub async fn upload_labelled(files: Files) -> Answer<LabelledTexts> {
    read(upload("/api/labelled/upload", &files.name(), &files, &[]).await?)
}

/// The answer to a job's question.
///
/// # Errors
/// It has none (yet).
pub async fn answer(id: &JobId) -> Answer<api::Answer> {
    get(format!("/api/jobs/{id}/answer")).await
}

/// Where all rows of an answer can be saved from, as CSV.
pub fn answer_file(id: &JobId) -> String {
    format!("/api/jobs/{id}/answer.csv")
}

/// One dictionary with its metrics.
///
/// # Errors
/// Not found.
pub async fn dictionary(id: i64) -> Answer<DictionaryInfo> {
    get(format!("/api/dictionaries/{id}")).await
}

/// What a dictionary knows of storyworld's labels.
///
/// # Errors
/// Not measured.
pub async fn known(id: i64) -> Answer<KnownFeatures> {
    get(format!("/api/dictionaries/{id}/known")).await
}

/// Where a dictionary can be saved from in another tool's files; `format` is one of the API's names.
pub fn export_file(id: &DictionaryId, format: &str) -> String {
    format!("/api/dictionaries/{id}/export?format={format}")
}

/// Every language model.
///
/// # Errors
/// As every call.
pub async fn models() -> Answer<Vec<ModelInfo>> {
    get("/api/models").await
}

/// Every dictionary, with its metrics.
///
/// # Errors
/// As every call.
pub async fn dictionaries() -> Answer<Vec<DictionaryInfo>> {
    get("/api/dictionaries").await
}

/// Every job, newest first.
///
/// # Errors
/// As every call.
pub async fn jobs() -> Answer<Vec<Job>> {
    get("/api/jobs").await
}

/// One job.
///
/// # Errors
/// Not found.
pub async fn job(id: i64) -> Answer<Job> {
    get(format!("/api/jobs/{id}")).await
}

/// A job's curves from point number `from` on.
///
/// # Errors
/// Not found.
pub async fn history(id: i64, from: usize) -> Answer<Vec<HistoryPoint>> {
    get(format!("/api/jobs/{id}/history?from={from}")).await
}

/// Asks a job to stop.
///
/// # Errors
/// It has ended already.
pub async fn cancel(id: i64) -> Answer<()> {
    command(format!("/api/jobs/{id}/cancel")).await
}

/// Puts a stopped job back in the queue, to go on from its last checkpoint.
///
/// # Errors
/// It runs, or is done.
pub async fn resume(id: i64) -> Answer<()> {
    command(format!("/api/jobs/{id}/resume")).await
}

/// What the Pareto page shows.
///
/// # Errors
/// A model, hook point, sweep or metric that does not exist.
pub async fn pareto(query: &ParetoQuery) -> Answer<ParetoView> {
    get(format!("/api/pareto{}", link::pareto_params(query).to_query_string())).await
}

/// Where the Pareto chart or its numbers can be saved from; `extension` is `svg`, `png` or `csv`.
pub fn pareto_file(query: &ParetoQuery, extension: &str) -> String {
    format!("/api/pareto.{extension}{}", link::pareto_params(query).to_query_string())
}

/// Where the API describes itself.
pub const OPENAPI: &str = "/api/openapi.json";

/// Follows the server's events for as long as the page lives; does nothing on the server.
pub fn listen(heard: impl Fn(Heard) + 'static) {
    follow("/api/events", heard);
}

async fn get<T: DeserializeOwned>(path: impl Into<String>) -> Answer<T> {
    let request = Request {
        method: "GET",
        path: path.into(),
        body: None,
    };
    read(exchange(request).await?)
}

async fn post<B: Serialize, T: DeserializeOwned>(path: &str, body: &B) -> Answer<T> {
    let body = serde_json::to_string(body).map_err(|e| ApiError::new(ErrorKind::Invalid, format!("cannot be sent: {e}")))?;
    let request = Request {
        method: "POST",
        path: path.into(),
        body: Some(body),
    };
    read(exchange(request).await?)
}

/// A POST that puts jobs into the queue.
async fn start<B: Serialize>(path: &str, body: &B) -> Answer<Vec<JobId>> {
    #[derive(Deserialize)]
    struct Started {
        jobs: Vec<JobId>,
    }
    post::<_, Started>(path, body).await.map(|started| started.jobs)
}

/// A POST without a body whose answer says nothing more than that it was done.
async fn command(path: String) -> Answer<()> {
    let request = Request {
        method: "POST",
        path,
        body: None,
    };
    accepted(exchange(request).await?).map(drop)
}

fn read<T: DeserializeOwned>(answer: (u16, String)) -> Answer<T> {
    let body = accepted(answer)?;
    serde_json::from_str(&body).map_err(|e| {
        let message = format!("the server's answer could not be read ({e}); reload the page, it may be of another version");
        ApiError::new(ErrorKind::Internal, message)
    })
}

/// The body of an answer that is not a failure.
fn accepted((status, body): (u16, String)) -> Answer<String> {
    if status < 400 {
        return Ok(body);
    }
    Err(serde_json::from_str(&body).unwrap_or_else(|_| {
        let kind = match status {
            401 | 403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            413 => ErrorKind::TooLarge,
            400..500 => ErrorKind::Invalid,
            _ => ErrorKind::Internal,
        };
        let said: String = body.chars().take(200).collect();
        ApiError::new(kind, format!("the server answered {status} {said}"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_its_field() {
        let body = r#"{"kind":"invalid","message":"n_ctx: found 1","field":"n_ctx"}"#;
        let error = read::<Job>((400, body.into())).unwrap_err();
        assert_eq!((error.kind, error.field.as_deref()), (ErrorKind::Invalid, Some("n_ctx")));
    }

    #[test]
    fn a_failure_without_json_keeps_its_status() {
        let error = accepted((502, "bad gateway".into())).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
        assert!(error.message.contains("502 bad gateway"), "{error}");
        assert_eq!(accepted((413, String::new())).unwrap_err().kind, ErrorKind::TooLarge);
    }
}
