//! Static files. Their names change with their content, so a browser may keep them for ever.

use crate::answer;
use crate::visit::Visit;
use worker::{Headers, Response, ResponseBody, Result};

const KEPT: &str = "public, max-age=31536000, immutable";
const KEPT_A_WHILE: &str = "public, max-age=3600";
/// Scripts that run wasm, away from any page: they live by their own policy, not by the page's.
const WORKERS: &str = "/assets/worker-";

/// Serves `path` if it is a file of a kind that we have.
pub(crate) async fn serve(visit: &Visit, path: &str) -> Result<Response> {
    if !visit.is_get() {
        return answer::method_not_allowed("GET");
    }
    // Folders have no such ending; the disk service would list them.
    let Some(content_type) = content_type(path) else {
        return answer::not_found();
    };
    let assets = visit.env.assets("ASSETS")?;
    let response = assets.fetch(format!("https://assets{path}"), None).await?;
    if response.status_code() != 200 {
        return answer::not_found();
    }
    let length = response.headers().get("content-length")?;
    let headers: Headers = answer::bare_headers(if path.starts_with("/assets/") {
        KEPT
    } else {
        KEPT_A_WHILE
    })?;
    headers.set("content-type", content_type)?;
    if path.starts_with(WORKERS) {
        headers.set("content-security-policy", answer::WORKER_POLICY)?;
    }
    if let Some(length) = length {
        headers.set("content-length", &length)?;
    }
    let (_, body) = response.into_parts();
    let body = match visit.request.method() {
        worker::Method::Head => ResponseBody::Empty,
        _ => body,
    };
    Ok(Response::from_body(body)?.with_headers(headers))
}

fn content_type(path: &str) -> Option<&'static str> {
    let (_, name) = path.rsplit_once('/')?;
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending {
        "css" => "text/css; charset=utf-8",
        "gif" => "image/gif",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "jpg" | "jpeg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        _ => return None,
    })
}
