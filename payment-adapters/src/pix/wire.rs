//! The form that opens a Pix payment, and what its reply gives the buyer.

use time::OffsetDateTime;

use crate::stripe::{PaymentIntent, minor};
use crate::transport::shorten;
use crate::{AdapterError, Display, ProviderRef, StartPayment, Started};

/// The only one.
pub(super) const CURRENCY: &str = "BRL";

/// How long after the hold the code runs out. Stripe wants 10 s from now at least, and a purchase
/// may have waited in the queue; counted from the hold's end so that a repeated `start` sends the
/// same body.
const CODE_SLACK_SECONDS: i64 = 60;

pub(super) fn intent_form(payment: &StartPayment) -> Result<Vec<(String, String)>, AdapterError> {
    let expires_at = payment.expires_at.unix_timestamp() + CODE_SLACK_SECONDS;
    let mut form = vec![
        ("amount", minor(payment.amount)?.to_string()),
        ("currency", CURRENCY.to_lowercase()),
        ("payment_method_types[0]", "pix".to_owned()),
        ("payment_method_data[type]", "pix".to_owned()),
        (
            "payment_method_options[pix][expires_at]",
            expires_at.to_string(),
        ),
        ("confirm", "true".to_owned()),
        ("return_url", payment.return_url.to_string()),
        ("description", shorten(&payment.description)),
        ("metadata[order]", payment.order_id.to_string()),
        ("metadata[hold]", payment.hold_id.to_string()),
    ];
    if let Some(email) = &payment.buyer_email {
        form.push(("payment_method_data[billing_details][email]", email.clone()));
    }
    Ok(form
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

pub(super) fn started(intent: PaymentIntent) -> Result<Started, AdapterError> {
    let no_code = || AdapterError::Unknown {
        message: format!("a Pix payment without its code ({})", intent.status),
    };
    let code = intent.pix().cloned().ok_or_else(no_code)?;
    let redirect_url = code.hosted_instructions_url.ok_or_else(no_code)?;
    let expires_at = code
        .expires_at
        .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let display = code.data.map(|data| Display::QrCode {
        data,
        image_url: code.image_url_svg.or(code.image_url_png),
        expires_at,
    });
    Ok(Started {
        provider_ref: ProviderRef::new(intent.id),
        redirect_url,
        display,
    })
}
