//! A client that costs little: HTTP/1.1 over one kept connection, one request at a time.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection.
pub(in crate::bench) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(in crate::bench) struct Answer {
    pub(in crate::bench) status: u16,
    pub(in crate::bench) body: String,
}

impl Wire {
    pub(in crate::bench) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Posts JSON.
    pub(in crate::bench) async fn post(
        &mut self,
        path: &str,
        cookies: &str,
        key: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: core\r\ncookie: {cookies}\r\nidempotency-key: {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            anyhow::ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "hung up");
            if let Some(answer) = complete(&self.buffer)? {
                return Ok(answer);
            }
        }
    }
}

/// The answer, once all of it is here.
fn complete(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let text = std::str::from_utf8(bytes).context("an answer that is not text")?;
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let status = head
        .get(9..12)
        .and_then(|code| code.parse().ok())
        .context("no status")?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.parse::<usize>().ok())
        .context("an answer without a length")?;
    Ok((body.len() >= length).then(|| Answer {
        status,
        body: body.to_owned(),
    }))
}
