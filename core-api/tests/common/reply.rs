//! A reply read to its end.

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Reply {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        let headers = reply.headers().clone();
        let bytes = reply.bytes().await.unwrap_or_default();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self {
            status,
            body,
            headers,
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn is_problem(&self, status: u16, name: &str) -> bool {
        self.status == status
            && self.header("content-type") == "application/problem+json"
            && self.body["type"] == format!("https://catraca.dev/problems/{name}")
            && self.body["status"] == status
            && self.body["detail"].is_string()
    }

    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, name: &str) {
        assert!(
            self.is_problem(status, name),
            "expected {status} {name}, got {} {} ({})",
            self.status,
            self.body,
            self.header("content-type")
        );
    }
}
