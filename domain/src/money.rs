//! Money in minor units. Never a float.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Largest amount, in minor units: keeps every sum in this system far from overflow and exact in
/// a JSON number.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000;

/// Why an amount or a currency was refused.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum MoneyError {
    /// Not three capital letters.
    #[error("currency must be an ISO 4217 code such as BRL")]
    Currency,
    /// Sums of different currencies.
    #[error("amounts are in different currencies")]
    Mixed,
    /// Beyond [`AMOUNT_MINOR_MAX`].
    #[error("amount is out of range")]
    Range,
    /// A decimal text with more digits than the currency has, or no number at all.
    #[error("amount is not a decimal of the currency's precision")]
    Decimal,
}

/// An ISO 4217 code, such as `BRL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The code in capital letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Digits after the decimal point (ISO 4217): 0 for yen and the like, 3 for some dinars.
    pub fn exponent(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(MoneyError::Currency),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// An amount in minor units of one currency: `{"amount_minor": 12500, "currency": "BRL"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units (cents, for most).
    pub amount_minor: i64,
    /// Currency.
    pub currency: Currency,
}

impl Money {
    /// An amount within `±`[`AMOUNT_MINOR_MAX`].
    ///
    /// # Errors
    /// [`MoneyError::Range`].
    pub fn new(amount_minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if amount_minor.unsigned_abs() > AMOUNT_MINOR_MAX.unsigned_abs() {
            return Err(MoneyError::Range);
        }
        Ok(Self {
            amount_minor,
            currency,
        })
    }

    /// Sum of two amounts of one currency.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Range`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed);
        }
        let sum = self
            .amount_minor
            .checked_add(other.amount_minor)
            .ok_or(MoneyError::Range)?;
        Self::new(sum, self.currency)
    }

    /// The amount as providers such as `PayPal` write it: `125.00`, or `125` for yen.
    pub fn to_decimal(self) -> String {
        let digits = self.currency.exponent() as usize;
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let text = format!(
            "{:0>width$}",
            self.amount_minor.unsigned_abs(),
            width = digits + 1
        );
        let (whole, fraction) = text.split_at(text.len() - digits);
        if digits == 0 {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{fraction}")
        }
    }

    /// Reads what [`Money::to_decimal`] writes; fewer decimals are fine, more are not.
    ///
    /// # Errors
    /// [`MoneyError::Decimal`], [`MoneyError::Range`].
    pub fn from_decimal(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let digits = currency.exponent() as usize;
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || fraction.len() > digits || !numeric(whole) || !numeric(fraction) {
            return Err(MoneyError::Decimal);
        }
        let padded = format!("{whole}{fraction:0<digits$}");
        let amount: i64 = padded.parse().map_err(|_| MoneyError::Range)?;
        Self::new(sign * amount, currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.to_decimal())
    }
}
