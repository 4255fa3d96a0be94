//! Stripe's form encoding: `line_items[0][price_data][currency]=brl`.

use std::collections::BTreeMap;

use url::form_urlencoded;

use super::error::Refusal;

/// Longest metadata Stripe takes.
const METADATA_KEYS_MAX: usize = 50;
const METADATA_VALUE_CHARS_MAX: usize = 500;

/// The parameters, by their full names; the last of a name counts, but for lists.
pub(super) struct Form {
    fields: BTreeMap<String, String>,
    expand: Vec<String>,
}

impl Form {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut form = Self {
            fields: BTreeMap::new(),
            expand: Vec::new(),
        };
        for (name, value) in form_urlencoded::parse(bytes) {
            if name == "expand[]" || name.starts_with("expand[") {
                form.expand.push(value.into_owned());
            } else {
                form.fields.insert(name.into_owned(), value.into_owned());
            }
        }
        form
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let parse = |text: &str| text.parse().map_err(|_| not_integer(name));
        self.get(name).map(parse).transpose()
    }

    /// A whole amount of money above zero; Stripe takes eight digits.
    pub(super) fn amount(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.integer(name)? {
            Some(amount) if amount < 1 => {
                let message = "This value must be greater than or equal to 1.";
                Err(Refusal::amount(name, "parameter_invalid_integer", message))
            }
            Some(amount) if amount > 99_999_999 => {
                let message = "Amount must be no more than 999,999.99.";
                Err(Refusal::amount(name, "amount_too_large", message))
            }
            other => Ok(other),
        }
    }

    /// An ISO 4217 code, in capital letters.
    pub(super) fn currency(&self, name: &str) -> Result<String, Refusal> {
        let text = self.require(name)?;
        if text.len() != 3 || !text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(Refusal::invalid(name, "Invalid currency."));
        }
        Ok(text.to_ascii_uppercase())
    }

    /// An address a browser can be sent to.
    pub(super) fn url(&self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(text.to_owned())),
            _ => Err(Refusal::invalid(name, "Not a valid URL")),
        }
    }

    /// `{prefix}[key]=value`.
    pub(super) fn metadata(&self, prefix: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let mut found = BTreeMap::new();
        for (name, value) in &self.fields {
            let key = name
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('['));
            let Some(key) = key.and_then(|rest| rest.strip_suffix(']')) else {
                continue;
            };
            if value.chars().count() > METADATA_VALUE_CHARS_MAX {
                return Err(Refusal::invalid(
                    name,
                    "Metadata values are at most 500 characters.",
                ));
            }
            found.insert(key.to_owned(), value.clone());
        }
        if found.len() > METADATA_KEYS_MAX {
            return Err(Refusal::invalid(prefix, "Metadata has at most 50 keys."));
        }
        Ok(found)
    }

    pub(super) fn expands(&self, path: &str) -> bool {
        let deeper = |asked: &String| asked.strip_prefix(path).is_some_and(|r| r.starts_with('.'));
        self.expand
            .iter()
            .any(|asked| asked == path || deeper(asked))
    }

    /// Like Stripe, refuses names it doesn't know. Numbers in brackets count as `0`; a name that
    /// ends in `[*]` stands for any key.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        for name in self.fields.keys() {
            let plain = unindexed(name);
            let fits = |known: &&str| match known.strip_suffix("[*]") {
                Some(prefix) => plain
                    .strip_prefix(prefix)
                    .is_some_and(|r| r.starts_with('[')),
                None => plain == **known,
            };
            if !known.iter().any(fits) {
                return Err(Refusal::unknown(name));
            }
        }
        Ok(())
    }
}

fn not_integer(name: &str) -> Refusal {
    Refusal::amount(name, "parameter_invalid_integer", "Invalid integer")
}

/// `line_items[3][quantity]` → `line_items[0][quantity]`.
fn unindexed(name: &str) -> String {
    let parts = name.split('[').map(|part| match part.strip_suffix(']') {
        Some(index) if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => "0]",
        _ => part,
    });
    parts.collect::<Vec<_>>().join("[")
}
