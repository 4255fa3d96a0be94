//! A reader that costs little: HTTP/1.1 over one kept connection, one request at a time, the body
//! counted and not looked at.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection.
pub(in crate::bench) struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer: its status, its head and what it brought.
#[derive(Debug, Default)]
pub(in crate::bench) struct Answer {
    pub(in crate::bench) status: u16,
    pub(in crate::bench) body: Vec<u8>,
    pub(in crate::bench) length: usize,
}

impl Reader {
    pub(in crate::bench) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        Self::with_buffer(address, 256 * 1024).await
    }

    /// For answers of which there are many and small: `bytes` must hold a whole head.
    pub(in crate::bench) async fn with_buffer(
        address: SocketAddr,
        bytes: usize,
    ) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; bytes],
        })
    }

    /// Reads and drops the body.
    pub(in crate::bench) async fn skim(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.send(request, false).await
    }

    /// Reads and keeps it.
    pub(in crate::bench) async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.send(&get(path), true).await
    }

    /// Any request.
    pub(in crate::bench) async fn send(
        &mut self,
        request: &[u8],
        keep: bool,
    ) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let (mut answer, mut left) = loop {
            anyhow::ensure!(filled < self.buffer.len(), "too long a head");
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            anyhow::ensure!(read > 0, "hung up");
            filled += read;
            let here = &self.buffer[..filled];
            let Some(end) = here.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let (head, body) = here.split_at(end + 4);
            let mut answer = head_of(head)?;
            if keep {
                answer.body.extend_from_slice(body);
            }
            let left = answer.length.saturating_sub(body.len());
            break (answer, left);
        };
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).await?;
            anyhow::ensure!(read > 0, "hung up");
            left = left.saturating_sub(read);
            if keep {
                answer.body.extend_from_slice(&self.buffer[..read]);
            }
        }
        Ok(answer)
    }
}

/// As a browser would ask, less what neither server looks at.
pub(in crate::bench) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: shop\r\naccept: application/json\r\n\r\n").into_bytes()
}

fn head_of(head: &[u8]) -> anyhow::Result<Answer> {
    let text = std::str::from_utf8(head).context("a head that is not text")?;
    let status = text.get(9..12).and_then(|code| code.parse().ok());
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let length = lines
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.parse().ok());
    Ok(Answer {
        status: status.context("no status")?,
        length: length.unwrap_or(0),
        body: Vec::new(),
    })
}
