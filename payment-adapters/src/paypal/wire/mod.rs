//! `PayPal`'s JSON: `request` is what we send, `reply` what we read, and both have amounts.

mod reply;
mod request;

use catraca_domain::money::Money;
use serde::{Deserialize, Serialize};

pub(super) use self::reply::{Order, Refund};
pub(super) use self::request::{CaptureRequest, Empty, OrderRequest, RefundRequest, to_json};
use crate::AdapterError;

/// An amount: a decimal text with the currency's digits.
#[derive(Serialize, Deserialize)]
pub(super) struct Amount {
    currency_code: String,
    value: String,
}

impl Amount {
    /// `PayPal` takes no decimals in these two, though ISO 4217 has them.
    /// <https://developer.paypal.com/reference/currency-codes/>
    const WHOLE_ONLY: &[&str] = &["HUF", "TWD"];

    pub(super) fn new(money: Money) -> Result<Self, AdapterError> {
        let refuse = |code: &str| AdapterError::Rejected {
            code: code.to_owned(),
            message: format!("{money} can't be charged"),
        };
        if money.amount_minor <= 0 {
            return Err(refuse("amount_not_positive"));
        }
        let mut value = money.to_decimal();
        if Self::WHOLE_ONLY.contains(&money.currency.code()) {
            value = value
                .strip_suffix(".00")
                .ok_or_else(|| refuse("decimals"))?
                .to_owned();
        }
        Ok(Self {
            currency_code: money.currency.code().to_owned(),
            value,
        })
    }

    /// `None` for what isn't money as we know it.
    pub(super) fn money(&self) -> Option<Money> {
        Money::from_decimal(&self.value, self.currency_code.parse().ok()?).ok()
    }

    pub(super) fn of(whole: Money, part: Money) -> Result<Self, AdapterError> {
        if whole.currency != part.currency {
            return Err(AdapterError::currency_mismatch(whole, part));
        }
        Self::new(part)
    }
}
