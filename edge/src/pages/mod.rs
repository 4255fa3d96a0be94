//! Pages: the same visit without JavaScript, and the files that make the shop.

pub(crate) mod assets;
pub(crate) mod room;
mod template;

use crate::answer;
use crate::visit::Visit;
use template::Template;
use worker::{Response, Result};

/// A page with nothing to fill in but the id in its address.
pub(crate) async fn plain(visit: &Visit, name: &str, id: &str) -> Result<Response> {
    if !visit.is_get() {
        return answer::method_not_allowed("GET");
    }
    match Template::fetch(visit, name).await {
        Some(template) => answer::page(200, template.fill(&[("id", id)])),
        None => missing(visit).await,
    }
}

/// The door's page: the only one that may use the camera.
pub(crate) async fn door(visit: &Visit) -> Result<Response> {
    let page = plain(visit, "door", "").await?;
    page.headers().set(
        "permissions-policy",
        "camera=(self), geolocation=(), microphone=(), payment=()",
    )?;
    Ok(page)
}

/// 404 for a room, as a page or as a problem.
pub(crate) async fn no_such_room(visit: &Visit) -> Result<Response> {
    if visit.wants_html() {
        missing(visit).await
    } else {
        answer::no_such_room()
    }
}

/// 404, as a page or as a problem.
pub(crate) async fn missing(visit: &Visit) -> Result<Response> {
    if !visit.wants_html() {
        return answer::not_found();
    }
    let template = Template::fetch(visit, "missing").await;
    answer::page(
        404,
        template.unwrap_or_else(Template::bare_missing).fill(&[]),
    )
}
