//! Pages from the assets, with `{{names}}` filled in.

use crate::runtime::now_ms;
use crate::visit::Visit;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use worker::console_error;

/// How long a page is kept in isolate memory, in milliseconds.
const KEPT_MS: u64 = 2_000;
/// The host part is never looked at.
const ORIGIN: &str = "https://assets";

/// A page's text. There is a handful of them, so all are kept.
#[derive(Debug, Clone)]
pub(super) struct Template(Rc<str>);

thread_local!(static PAGES: RefCell<HashMap<String, (Template, u64)>> = RefCell::default());

impl Template {
    /// `pages/{name}.html`; `None` when there is none.
    pub(super) async fn fetch(visit: &Visit, name: &str) -> Option<Self> {
        let kept = PAGES.with_borrow(|pages| pages.get(name).cloned());
        if let Some((template, at_ms)) = kept
            && visit.now_ms.abs_diff(at_ms) < KEPT_MS
        {
            return Some(template);
        }
        let template = match Self::read(visit, name).await {
            Ok(text) => Self(text.into()),
            Err(error) => {
                console_error!("page {name}: {error}");
                return None;
            }
        };
        PAGES.with_borrow_mut(|pages| {
            pages.insert(name.to_owned(), (template.clone(), now_ms()));
        });
        Some(template)
    }

    /// What is shown when even the page can't be had.
    pub(super) fn fallback() -> Self {
        Self(include_str!("fallback.html").into())
    }

    /// The same for an address with nothing at it.
    pub(super) fn bare_missing() -> Self {
        Self(include_str!("missing.html").into())
    }

    async fn read(visit: &Visit, name: &str) -> worker::Result<String> {
        let assets = visit.env.assets("ASSETS")?;
        let url = format!("{ORIGIN}/pages/{name}.html");
        let mut response = assets.fetch(url, None).await?;
        if response.status_code() != 200 {
            return Err(format!("status {}", response.status_code()).into());
        }
        response.text().await
    }

    /// The page with each `{{name}}` replaced by its value, escaped.
    pub(super) fn fill(&self, values: &[(&str, &str)]) -> String {
        let mut page = String::with_capacity(self.0.len() + 256);
        let mut rest = &*self.0;
        while let Some((before, after)) = rest.split_once("{{") {
            page.push_str(before);
            let Some((name, behind)) = after.split_once("}}") else {
                page.push_str("{{");
                rest = after;
                break;
            };
            match values.iter().find(|(known, _)| *known == name.trim()) {
                Some((_, value)) => escape(value, &mut page),
                None => page.extend(["{{", name, "}}"]),
            }
            rest = behind;
        }
        page.push_str(rest);
        page
    }
}

fn escape(value: &str, page: &mut String) {
    for c in value.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            c => page.push(c),
        }
    }
}
