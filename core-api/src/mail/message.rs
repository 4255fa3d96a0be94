//! The messages themselves: text, the same as simple HTML, and the tickets as a PDF.
//!
//! Everything from outside goes into a header only through [`in_a_line`] and lettre's encoding, and
//! into HTML only through [`escape`].

use super::outbox::Due;
use super::post::Post;
use super::queue::Kind;
use crate::app::App;
use crate::error::ApiError;
use crate::purchase::sql;
use crate::tickets::pdf;
use crate::tickets::ticket::{self, Ticket};
use catraca_domain::ids::EventNumber;
use catraca_domain::money::Money;
use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use std::time::SystemTime;
use time::OffsetDateTime;
use time::macros::format_description;

/// Longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 150;

/// The message of a row, as things are now.
pub(super) async fn of(app: &App, post: &Post, mail: &Due) -> Result<Message, ApiError> {
    let story = story(app, mail).await?;
    let address = mail.recipient.parse();
    let address = address.map_err(|error| odd(mail, &format!("recipient: {error}")))?;
    let domain = post.from.email.domain();
    let text = SinglePart::plain(story.text());
    let html = SinglePart::html(story.html());
    let mut body =
        MultiPart::mixed().multipart(MultiPart::alternative().singlepart(text).singlepart(html));
    let good: Vec<Ticket> = match mail.kind {
        Kind::Tickets => story.good().cloned().collect(),
        Kind::Refund => Vec::new(),
    };
    if !good.is_empty() {
        let kind = ContentType::parse("application/pdf");
        let kind = kind.map_err(|error| odd(mail, &error.to_string()))?;
        let attachment = Attachment::new("tickets.pdf".to_owned());
        body = body.singlepart(attachment.body(pdf::pages(&good)?, kind));
    }
    Message::builder()
        .from(post.from.clone())
        .to(Mailbox::new(None, address))
        .subject(story.subject())
        .date(SystemTime::from(mail.created_at))
        // The same whenever it is sent again.
        .message_id(Some(format!(
            "<{}.{}@{domain}>",
            mail.kind.as_str(),
            mail.about
        )))
        .header(AutoSubmitted)
        .multipart(body)
        .map_err(|error| odd(mail, &error.to_string()))
}

fn odd(mail: &Due, what: &str) -> ApiError {
    ApiError::internal(format!("mail of order {}: {what}", mail.order))
}

/// Nobody is to answer by machine (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// What there is to tell.
struct Story {
    kind: Kind,
    title: String,
    venue: String,
    starts_at: OffsetDateTime,
    /// Of a paid order the price; of a refund, what came back.
    amount: Money,
    order: String,
    order_url: String,
    /// Each with its address.
    tickets: Vec<(Ticket, String)>,
}

async fn story(app: &App, mail: &Due) -> Result<Story, ApiError> {
    let client = app.db.get().await?;
    let row = sql::query_opt(
        &client,
        "SELECT e.title, e.venue, e.starts_at, o.currency::text,
                CASE $3 WHEN 'refund' THEN coalesce(
                         (SELECT r.amount_minor FROM refunds r
                          WHERE r.event_id = o.event_id AND r.refund_id = $4),
                         (SELECT r.amount_minor FROM partial_refunds r
                          WHERE r.event_id = o.event_id AND r.refund_id = $4))
                     ELSE o.amount_minor END
         FROM orders o JOIN events e USING (event_id) WHERE o.event_id = $1 AND o.order_id = $2",
        &[
            &EventNumber::of(mail.order.0).0,
            &mail.order.0,
            &mail.kind.as_str(),
            &mail.about,
        ],
    )
    .await?
    .ok_or_else(|| odd(mail, "no such order"))?;
    drop(client);
    let amount: Option<i64> = row.get(4);
    let amount = amount.ok_or_else(|| odd(mail, "no such refund"))?;
    let currency = row.get::<_, &str>(3).parse();
    let currency = currency.map_err(|_| odd(mail, "currency"))?;
    let address = |path: String| {
        let url = app.config.public_url.join(&path);
        url.map(String::from)
            .map_err(|error| odd(mail, &error.to_string()))
    };
    let tickets = ticket::of_order(app, mail.order).await?;
    let tickets = tickets
        .into_iter()
        .map(|ticket| address(format!("/tickets/{}", ticket.id)).map(|url| (ticket, url)))
        .collect::<Result<_, _>>()?;
    Ok(Story {
        kind: mail.kind,
        title: row.get(0),
        venue: row.get(1),
        starts_at: row.get(2),
        amount: Money::new(amount, currency).map_err(|_| odd(mail, "amount"))?,
        order: mail.order.to_string(),
        order_url: address(format!("/orders/{}", mail.order))?,
        tickets,
    })
}

/// A piece of the message, written as text or as HTML.
enum Piece {
    Line(String),
    Facts(Vec<String>),
    /// Words, and an address to go to.
    Links(Vec<(String, Option<String>)>),
}

impl Story {
    fn subject(&self) -> String {
        let word = match self.kind {
            Kind::Tickets => "Your tickets",
            Kind::Refund => "Refund",
        };
        in_a_line(&format!("{word}: {}", self.title))
    }

    fn good(&self) -> impl Iterator<Item = &Ticket> {
        let tickets = self.tickets.iter().map(|(ticket, _)| ticket);
        tickets.filter(|ticket| ticket.code.is_some())
    }

    fn pieces(&self) -> Vec<Piece> {
        let event = Piece::Facts(vec![
            in_a_line(&self.title),
            in_a_line(&self.venue),
            self.date(),
        ]);
        let links = |good: bool| {
            let of = self.tickets.iter();
            let of = of.filter(|(ticket, _)| ticket.code.is_some() == good);
            of.map(|(ticket, url)| (where_is(ticket), good.then(|| url.clone())))
                .collect::<Vec<_>>()
        };
        let order = Piece::Links(vec![(
            format!("Order {}", self.order),
            Some(self.order_url.clone()),
        )]);
        let mut pieces = match self.kind {
            Kind::Tickets => vec![
                Piece::Line("Thank you. Your order is paid, and here are your tickets.".to_owned()),
                event,
                Piece::Links(links(true)),
                Piece::Line(
                    "The PDF has a page for each ticket. Its code lets one person in, once; \
                     a phone shows it as well as paper does."
                        .to_owned(),
                ),
                Piece::Line(format!("Paid: {}", self.amount)),
            ],
            Kind::Refund => vec![
                Piece::Line(format!(
                    "We have given {} back to you, the way you paid. Banks may take a few days \
                     to show it.",
                    self.amount
                )),
                event,
            ],
        };
        let (good, void) = (links(true), links(false));
        if !void.is_empty() {
            pieces.push(Piece::Line("No longer valid:".to_owned()));
            pieces.push(Piece::Links(void));
        }
        if self.kind == Kind::Refund && !good.is_empty() {
            pieces.push(Piece::Line("Still valid:".to_owned()));
            pieces.push(Piece::Links(good));
        }
        pieces.push(order);
        pieces
    }

    fn date(&self) -> String {
        let format = format_description!("[year]-[month]-[day], [hour]:[minute] UTC");
        // A date of the database's can be written.
        self.starts_at.format(format).unwrap_or_default()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for piece in self.pieces() {
            match piece {
                Piece::Line(line) => text.push_str(&line),
                Piece::Facts(facts) => text.push_str(&facts.join("\r\n")),
                Piece::Links(links) => {
                    let items = links.into_iter().map(|(words, url)| match url {
                        Some(url) => format!("- {words}\r\n  {url}"),
                        None => format!("- {words}"),
                    });
                    text.push_str(&items.collect::<Vec<_>>().join("\r\n"));
                }
            }
            text.push_str("\r\n\r\n");
        }
        text
    }

    fn html(&self) -> String {
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{}</title>\
             <body style=\"font-family:sans-serif;max-width:40em\">",
            escape(&self.subject())
        );
        for piece in self.pieces() {
            let inside = match piece {
                Piece::Line(line) => format!("<p>{}</p>", escape(&line)),
                Piece::Facts(facts) => {
                    let facts: Vec<String> = facts.iter().map(|fact| escape(fact)).collect();
                    format!("<p><strong>{}</strong></p>", facts.join("<br>"))
                }
                Piece::Links(links) => {
                    let items = links.into_iter().map(|(words, url)| match url {
                        Some(url) => {
                            format!(
                                "<li><a href=\"{}\">{}</a></li>",
                                escape(&url),
                                escape(&words)
                            )
                        }
                        None => format!("<li>{}</li>", escape(&words)),
                    });
                    format!("<ul>{}</ul>", items.collect::<String>())
                }
            };
            html.push_str(&inside);
        }
        html.push_str("</body></html>");
        html
    }
}

fn where_is(ticket: &Ticket) -> String {
    let mut words = format!("Section {}", ticket.section);
    if let (Some(row), Some(seat)) = (&ticket.row, &ticket.seat) {
        words = format!("{words}, row {row}, seat {seat}");
    }
    in_a_line(&words)
}

/// One line, whatever it was: no text of an organiser begins a header or a line of its own.
fn in_a_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SUBJECT_CHARS_MAX)
        .collect();
    line.trim().to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
