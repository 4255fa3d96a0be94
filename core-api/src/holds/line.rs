//! Where requests wait to be served together, and are.
//!
//! [`HANDS`] hands take from one line, in the order of arrival. A hand takes what is there; while
//! another is at work it first lets [`GATHER`] pass for more to come, so that the busier it is the
//! more share a transaction, and nobody waits for company who is alone. The line is bounded, and so
//! is the wait in it. Whoever has gone away meanwhile is passed by: nothing is set aside for nobody.

use crate::admission::Unseen;
use crate::app::App;
use crate::error::ApiError;
use crate::http::idempotency::Reply;
use catraca_domain::problem::Kind;
use deadpool_postgres::Object;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

/// Batches under way at once, in this process and line.
const HANDS: usize = 3;
/// Most requests of one batch.
const BATCH_MAX: usize = 64;
/// Most requests in line; whoever comes then is told to come back.
const LINE_MAX: usize = 2_048;
/// How long a batch gathers while another is under way. The timer may take twice as long.
const GATHER: Duration = Duration::from_millis(1);
/// Longest wait for a verdict. A batch that comes to one later has its reply kept by its key.
const WAIT_MAX: Duration = Duration::from_secs(6);

/// What became of a request.
pub enum Verdict {
    /// This is its answer.
    Decided(Result<Reply, ApiError>),
    /// Nothing was changed for it; it takes the long way by itself.
    Alone,
}

/// Somebody in line.
pub(crate) struct Waiting<T> {
    pub(crate) asked: T,
    answer: oneshot::Sender<Verdict>,
}

impl<T> Waiting<T> {
    /// Ends the wait. Nobody may be there any more: what was committed is kept by its key.
    fn tell(self, verdict: Verdict) {
        let _ = self.answer.send(verdict);
    }
}

/// A line of this process.
pub struct Line<T> {
    end: mpsc::Sender<Waiting<T>>,
    head: Mutex<mpsc::Receiver<Waiting<T>>>,
    busy: AtomicUsize,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        let (end, head) = mpsc::channel(LINE_MAX);
        Self {
            end,
            head: Mutex::new(head),
            busy: AtomicUsize::new(0),
        }
    }
}

impl<T> Line<T> {
    /// Waits in line for a verdict.
    ///
    /// # Errors
    /// 503 when the line is full, or does not move.
    pub async fn ask(&self, asked: T) -> Result<Verdict, ApiError> {
        let full = || {
            metrics::counter!("catraca_line_refusals_total").increment(1);
            ApiError::new(
                Kind::UNAVAILABLE,
                "More are asking than can be served. Try again.",
            )
        };
        let (answer, verdict) = oneshot::channel();
        let waiting = Waiting { asked, answer };
        self.end.try_send(waiting).map_err(|_| full())?;
        match tokio::time::timeout(WAIT_MAX, verdict).await {
            Ok(Ok(verdict)) => Ok(verdict),
            // A batch that died without a word has changed nothing that its key does not tell.
            Ok(Err(_)) => Ok(Verdict::Alone),
            Err(_) => Err(full()),
        }
    }

    /// The next in line, as many as fit in a batch; waits for the first.
    async fn next(&self) -> Vec<Waiting<T>> {
        let mut waiting = Vec::with_capacity(BATCH_MAX);
        let mut head = self.head.lock().await;
        head.recv_many(&mut waiting, BATCH_MAX).await;
        if waiting.len() < BATCH_MAX && self.busy.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(GATHER).await;
            while waiting.len() < BATCH_MAX
                && let Ok(one) = head.try_recv()
            {
                waiting.push(one);
            }
        }
        waiting
    }
}

/// Serves a line until dropped: `serve` tells each of a batch.
pub(crate) fn hands<T, F>(
    app: &App,
    name: &'static str,
    line: fn(&App) -> &Line<T>,
    serve: fn(App, Vec<Waiting<T>>) -> F,
) -> JoinSet<()>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut hands = JoinSet::new();
    for _ in 0..HANDS {
        let app = app.clone();
        hands.spawn(async move {
            loop {
                let waiting = line(&app).next().await;
                let requests = u32::try_from(waiting.len()).map_or(f64::INFINITY, f64::from);
                metrics::histogram!("catraca_batch_requests", "line" => name).record(requests);
                line(&app).busy.fetch_add(1, Ordering::Relaxed);
                // A task of its own, so that a panic costs a batch and not the hand.
                let served = tokio::spawn(serve(app.clone(), waiting)).await;
                line(&app).busy.fetch_sub(1, Ordering::Relaxed);
                if let Err(error) = served {
                    tracing::error!(%error, line = name, "a batch died");
                }
            }
        });
    }
    hands
}

/// Asks in line for somebody whose session may not be known yet; known, he asks again.
///
/// # Errors
/// 503 when the line is full or does not move; the session's.
pub(crate) async fn ask<T: Clone>(
    app: &App,
    line: &Line<T>,
    unseen: &Unseen,
    asked: T,
) -> Result<Verdict, ApiError> {
    if let Verdict::Decided(outcome) = line.ask(asked.clone()).await? {
        return Ok(Verdict::Decided(outcome));
    }
    let verdict = if unseen.enter(app).await? {
        line.ask(asked).await?
    } else {
        Verdict::Alone
    };
    if matches!(verdict, Verdict::Alone) {
        metrics::counter!("catraca_alone_total").increment(1);
    }
    Ok(verdict)
}

/// Decides about those who are still there once there is a connection, and tells each.
pub(crate) async fn decide<T>(
    app: &App,
    mut waiting: Vec<Waiting<T>>,
    decide: impl AsyncFnOnce(&App, &mut Object, &[&T]) -> Result<Vec<Verdict>, ApiError>,
) {
    let verdicts = match app.db.get().await {
        Ok(mut db) => {
            waiting.retain(|one| !one.answer.is_closed());
            let asked: Vec<&T> = waiting.iter().map(|one| &one.asked).collect();
            decide(app, &mut db, &asked).await
        }
        Err(error) => Err(error.into()),
    };
    match verdicts {
        Ok(verdicts) => {
            for (one, verdict) in waiting.into_iter().zip(verdicts) {
                one.tell(verdict);
            }
        }
        Err(ApiError::Unavailable(story)) => {
            for one in waiting {
                one.tell(Verdict::Decided(Err(ApiError::unavailable(&story))));
            }
        }
        Err(error) => {
            tracing::error!(?error, "a batch failed; each goes alone");
            for one in waiting {
                one.tell(Verdict::Alone);
            }
        }
    }
}
