//! A closed loop of HTTP/1.1 requests over kept connections, as lean as it gets: requests are
//! written as prepared bytes, of an answer only the status, the length and the body are read.
//! On one thread, so that one core is left to what is measured.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest answer that is believed, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// One kept connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer's status and body.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(super) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let buffer = Vec::with_capacity(4096);
        Ok(Self { stream, buffer })
    }

    /// Sends a prepared request and reads the answer.
    ///
    /// # Errors
    /// When the connection breaks, the answer is not understood or takes too long.
    pub(super) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some((status, from, to)) = whole_answer(&self.buffer)? {
                let body = &self.buffer[from..to];
                return Ok(Answer { status, body });
            }
            anyhow::ensure!(self.buffer.len() < ANSWER_BYTES_MAX, "an endless answer");
        }
    }
}

/// Status and extent of the body, once all of it is there.
fn whole_answer(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Ok(None);
    };
    let from = head + 4;
    let text = std::str::from_utf8(&bytes[..head])?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .context("an answer without a status")?
        .parse()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    let to = match length {
        Some(length) => from + length?,
        None if status == 204 => from,
        None => bail!("an answer of unknown length: {text}"),
    };
    Ok((bytes.len() >= to).then_some((status, from, to)))
}

/// A request as bytes; `headers` are whole lines, each with its end.
pub(super) fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = match body.len() {
        // An announced body that is empty and not read costs the connection.
        0 => String::new(),
        length => format!("content-length: {length}\r\n"),
    };
    format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}{length}\r\n{body}")
        .into_bytes()
}

/// What came of a closed loop.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Answers with the status that was hoped for.
    pub(super) good: u64,
    /// Other answers.
    pub(super) other: u64,
    /// What `keep` made of the good ones.
    pub(super) kept: Vec<String>,
    /// How long it took.
    pub(super) seconds: f64,
}

/// What to send and for how long.
pub(super) struct Loop<'a> {
    pub(super) address: SocketAddr,
    pub(super) connections: usize,
    pub(super) until: Until,
    pub(super) hoped_for: u16,
    /// Taken in turn.
    pub(super) requests: &'a [Vec<u8>],
    /// Whether good answers' bodies are kept.
    pub(super) keep: bool,
}

/// When a loop ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    /// After this time.
    Time(Duration),
    /// After so many requests; each prepared request is then sent at most once a turn.
    Count(u64),
}

struct Shared {
    next: u64,
    run: Run,
}

impl Loop<'_> {
    /// Runs it on this thread.
    ///
    /// # Errors
    /// When a connection breaks.
    pub(super) fn run(&self) -> anyhow::Result<Run> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = RefCell::new(Shared {
            next: 0,
            run: Run::default(),
        });
        let shared = Rc::new(shared);
        runtime.block_on(async {
            let mut connections = Vec::with_capacity(self.connections);
            for _ in 0..self.connections {
                connections.push(Connection::open(self.address).await?);
            }
            let started = Instant::now();
            let clients = connections
                .into_iter()
                .map(|connection| self.client(connection, started, &shared));
            futures::future::try_join_all(clients).await?;
            shared.borrow_mut().run.seconds = started.elapsed().as_secs_f64();
            anyhow::Ok(())
        })?;
        Ok(std::mem::take(&mut shared.borrow_mut().run))
    }

    async fn client(
        &self,
        mut connection: Connection,
        started: Instant,
        shared: &Rc<RefCell<Shared>>,
    ) -> anyhow::Result<()> {
        loop {
            let turn = {
                let mut shared = shared.borrow_mut();
                shared.next += 1;
                shared.next - 1
            };
            let over = match self.until {
                Until::Time(limit) => started.elapsed() >= limit,
                Until::Count(limit) => turn >= limit,
            };
            if over {
                return Ok(());
            }
            let index = usize::try_from(turn)? % self.requests.len();
            let request = &self.requests[index];
            let asked = tokio::time::timeout(ANSWER_WITHIN, connection.ask(request));
            let (status, body) = match asked.await {
                Ok(Ok(answer)) => (answer.status, self.keep.then(|| answer.body.to_vec())),
                // The server may end a kept connection between two requests, once.
                Ok(Err(_)) => {
                    connection = Connection::open(self.address).await?;
                    let asked = tokio::time::timeout(ANSWER_WITHIN, connection.ask(request));
                    let answer = asked
                        .await
                        .context("no answer in time")?
                        .with_context(|| format!("request {turn} to {}", self.address))?;
                    (answer.status, self.keep.then(|| answer.body.to_vec()))
                }
                Err(_) => anyhow::bail!("no answer to request {turn} in time"),
            };
            let run = &mut shared.borrow_mut().run;
            if status == self.hoped_for {
                run.good += 1;
                if let Some(body) = body {
                    run.kept.push(String::from_utf8(body)?);
                }
            } else {
                run.other += 1;
            }
        }
    }
}

/// One request, answered.
///
/// # Errors
/// When it is not answered.
pub(super) fn once(address: SocketAddr, request: &[u8]) -> anyhow::Result<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(address).await?;
        let answer = tokio::time::timeout(ANSWER_WITHIN, connection.ask(request)).await??;
        Ok((answer.status, String::from_utf8(answer.body.to_vec())?))
    })
}
