//! Asking a part whether it is ready.

use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// One question takes no longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const ASK_EVERY: Duration = Duration::from_millis(25);
/// Longest answer looked at.
const ANSWER_BYTES_MAX: u64 = 4 << 10;

/// How a part shows that it is ready.
#[derive(Clone, Debug)]
pub enum Probe {
    /// `GET path` answers 200.
    Http {
        /// `127.0.0.1:port`.
        address: String,
        /// Path and query.
        path: String,
    },
    /// Any HTTP answer at all, whatever its status.
    AnyHttp {
        /// `127.0.0.1:port`.
        address: String,
    },
    /// Logs in to Redis and gets a PONG: not while it is still loading its data.
    Redis {
        /// `127.0.0.1:port`.
        address: String,
        /// Its password.
        password: String,
    },
    /// Logs in to PostgreSQL and runs a statement.
    Postgres {
        /// Connection string.
        dsn: String,
    },
    /// A mail server that greets.
    Smtp {
        /// `127.0.0.1:port`.
        address: String,
    },
    /// A program with nothing to ask: ready when it has not died this long after its start.
    Survives(Duration),
}

impl Probe {
    /// Asks until the answer is yes.
    pub async fn until_ready(&self) {
        if let Self::Survives(time) = self {
            return tokio::time::sleep(*time).await;
        }
        while self.ask().await.is_err() {
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Asks once.
    pub async fn ask(&self) -> anyhow::Result<()> {
        tokio::time::timeout(ANSWER_WITHIN, self.ask_patiently())
            .await
            .context("no answer in time")?
    }

    async fn ask_patiently(&self) -> anyhow::Result<()> {
        match self {
            Self::Http { address, path } => {
                let status = http_status(address, path).await?;
                anyhow::ensure!(status == 200, "{path} answers {status}");
                Ok(())
            }
            Self::AnyHttp { address } => http_status(address, "/").await.map(|_| ()),
            Self::Redis { address, password } => ask_redis(address, password).await,
            Self::Postgres { dsn } => ask_postgres(dsn).await,
            Self::Smtp { address } => ask_smtp(address).await,
            Self::Survives(_) => Ok(()),
        }
    }
}

async fn exchange(address: &str, question: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut bounded = stream.take(ANSWER_BYTES_MAX);
    bounded.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn http_status(address: &str, path: &str) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let question = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    // Only the first line counts, and workerd keeps the connection open whatever it is asked.
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX))
        .read_line(&mut line)
        .await?;
    line.strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|status| status.parse().ok())
        .context("not an HTTP answer")
}

async fn ask_redis(address: &str, password: &str) -> anyhow::Result<()> {
    let answer = exchange(address, &format!("AUTH {password}\r\nPING\r\nQUIT\r\n")).await?;
    anyhow::ensure!(answer.contains("+PONG"), "{}", answer.trim());
    Ok(())
}

/// Who speaks before the greeting is sent away, so it is waited for.
async fn ask_smtp(address: &str) -> anyhow::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let mut greeting = String::new();
    (&mut stream)
        .take(ANSWER_BYTES_MAX)
        .read_line(&mut greeting)
        .await?;
    anyhow::ensure!(greeting.starts_with("220 "), "{}", greeting.trim());
    stream.write_all(b"QUIT\r\n").await?;
    Ok(())
}

async fn ask_postgres(dsn: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let answer = client.simple_query("SELECT 1").await;
    drop(client);
    connection.await??;
    answer?;
    Ok(())
}
