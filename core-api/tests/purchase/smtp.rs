//! A mail server for tests: speaks SMTP (RFC 5321) on a port, keeps what it gets, and can be told
//! to misbehave.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Takes,
    /// Takes the message and never says so.
    Hangs,
    /// 550: there is no such mailbox.
    KnowsNobody,
    /// 451: not now.
    IsBusy,
}

#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Headers and body, undotted.
    pub(crate) data: String,
}

impl Received {
    /// A header's value, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let head = self.data.split("\r\n\r\n").next().unwrap();
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    }
}

#[derive(Clone)]
pub(crate) struct MailServer {
    pub(crate) port: u16,
    got: Arc<Mutex<Vec<Received>>>,
    manner: Arc<Mutex<Manner>>,
    changed: Arc<Notify>,
    serving: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl MailServer {
    /// A port, and nobody there yet.
    pub(crate) async fn away() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            port: listener.local_addr().unwrap().port(),
            got: Arc::default(),
            manner: Arc::new(Mutex::new(Manner::Takes)),
            changed: Arc::default(),
            serving: Arc::default(),
        }
    }

    pub(crate) async fn start() -> Self {
        let server = Self::away().await;
        server.arrive().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn arrive(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        let server = self.clone();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(server.clone().converse(stream));
            }
        });
        *self.serving.lock().unwrap() = Some(serving);
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.got.lock().unwrap().clone()
    }

    /// Waits for the message of that number, counted from 1.
    pub(crate) async fn nth(&self, number: usize) -> Received {
        let arrived = async {
            loop {
                let changed = self.changed.notified();
                if let Some(message) = self.received().get(number - 1) {
                    return message.clone();
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), arrived).await;
        waited.unwrap_or_else(|_| panic!("no message {number} after 30 s"))
    }

    async fn converse(self, stream: TcpStream) {
        let _ = self.conversation(stream).await;
    }

    async fn conversation(&self, stream: TcpStream) -> std::io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let (mut from, mut to) = (String::new(), Vec::new());
        writer.write_all(b"220 test ESMTP\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let manner = *self.manner.lock().unwrap();
            let verb = line.split([' ', ':']).next().unwrap().to_uppercase();
            let reply = match (verb.as_str(), manner) {
                ("EHLO", _) => "250-test\r\n250 8BITMIME\r\n",
                ("MAIL", _) => {
                    from = line;
                    to.clear();
                    "250 ok\r\n"
                }
                ("RCPT", Manner::KnowsNobody) => "550 5.1.1 no such mailbox\r\n",
                ("RCPT", Manner::IsBusy) => "451 4.3.0 later\r\n",
                ("RCPT", _) => {
                    to.push(line);
                    "250 ok\r\n"
                }
                ("DATA", _) => {
                    writer.write_all(b"354 go on\r\n").await?;
                    let mut data = String::new();
                    while let Some(line) = lines.next_line().await? {
                        if line == "." {
                            break;
                        }
                        data.push_str(line.strip_prefix('.').unwrap_or(&line));
                        data.push_str("\r\n");
                    }
                    self.got.lock().unwrap().push(Received {
                        from: from.clone(),
                        to: to.clone(),
                        data,
                    });
                    self.changed.notify_waiters();
                    if manner == Manner::Hangs {
                        std::future::pending::<()>().await;
                    }
                    "250 taken\r\n"
                }
                ("QUIT", _) => {
                    writer.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                ("RSET" | "NOOP", _) => "250 ok\r\n",
                _ => "502 what\r\n",
            };
            writer.write_all(reply.as_bytes()).await?;
        }
        Ok(())
    }
}
