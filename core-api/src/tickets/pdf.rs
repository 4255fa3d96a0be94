//! Tickets to print: an A4 page each, text in Helvetica, which every reader has, and the QR code.
//!
//! Helvetica is used in `WinAnsiEncoding` (Windows-1252), which covers the languages of western
//! Europe and the Americas; what it lacks is printed as `?`. The code says it all in any case.

use super::qr::{self, QUIET_MODULES};
use super::ticket::Ticket;
use crate::error::ApiError;
use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};
use time::macros::format_description;

/// A4, in points of 1/72 inch.
const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 56.0;
/// Side of the QR code with its quiet zone, in points: 7 cm.
const QR_SIDE: f32 = 198.0;
/// Most characters of title in a line: 22 points of bold Helvetica on this page.
const TITLE_LINE_CHARS: usize = 38;
/// Most lines of title.
const TITLE_LINES_MAX: usize = 3;
/// Most characters of any other line.
const LINE_CHARS: usize = 80;

const PLAIN: Name<'_> = Name(b"F1");
const BOLD: Name<'_> = Name(b"F2");

/// Objects of the file before the first page's: catalogue, pages, two fonts, information.
const SHARED_OBJECTS: i32 = 5;

/// One page for each ticket, as a PDF file.
pub(crate) fn pages(tickets: &[Ticket]) -> Result<Vec<u8>, ApiError> {
    let [catalog, pages, plain, bold, info] = [1, 2, 3, 4, 5].map(Ref::new);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages);
    let leaves: Vec<(Ref, Ref)> = (SHARED_OBJECTS + 1..)
        .step_by(2)
        .map(|id| (Ref::new(id), Ref::new(id + 1)))
        .take(tickets.len())
        .collect();
    let count = i32::try_from(tickets.len())
        .map_err(|_| ApiError::internal("more tickets than a file has pages"))?;
    pdf.pages(pages)
        .kids(leaves.iter().map(|(page, _)| *page))
        .count(count);
    for (id, font) in [(plain, &b"Helvetica"[..]), (bold, &b"Helvetica-Bold"[..])] {
        pdf.type1_font(id)
            .base_font(Name(font))
            .encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    let title = tickets.first().map_or("", |ticket| &ticket.event.title);
    pdf.document_info(info)
        .title(TextStr(&format!("Ticket: {title}")));
    for (ticket, (page, content)) in tickets.iter().zip(leaves) {
        let mut leaf = pdf.page(page);
        leaf.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1));
        leaf.parent(pages).contents(content);
        leaf.resources().fonts().pair(PLAIN, plain).pair(BOLD, bold);
        leaf.finish();
        pdf.stream(content, &draw(ticket)?);
    }
    Ok(pdf.finish())
}

fn draw(ticket: &Ticket) -> Result<Vec<u8>, ApiError> {
    let mut content = Content::new();
    let mut text = Text {
        content: &mut content,
        y: PAGE.1 - MARGIN - 22.0,
    };
    for line in wrap(&ticket.event.title, TITLE_LINE_CHARS)
        .iter()
        .take(TITLE_LINES_MAX)
    {
        text.line(BOLD, 22.0, line);
    }
    text.line(PLAIN, 13.0, &ticket.event.venue);
    text.line(PLAIN, 13.0, &starts_at(ticket)?);
    text.gap(14.0);
    text.line(BOLD, 16.0, &format!("Section {}", ticket.section));
    if let (Some(row), Some(seat)) = (&ticket.row, &ticket.seat) {
        text.line(BOLD, 16.0, &format!("Row {row}, seat {seat}"));
    }
    text.gap(14.0);
    let top = text.y;
    match &ticket.code {
        Some(code) => qr_code(&mut content, code, top)?,
        None => Text {
            content: &mut content,
            y: top - 40.0,
        }
        .line(BOLD, 28.0, "VOID: refunded"),
    }
    let mut text = Text {
        content: &mut content,
        y: top - QR_SIDE - 16.0,
    };
    text.line(PLAIN, 9.0, &format!("Ticket {}", ticket.id));
    text.line(PLAIN, 9.0, &format!("Order {}", ticket.order));
    let closing = match &ticket.code {
        Some(_) => "Show this code at the entrance. It is good for one person, once.",
        None => "Nobody is let in with this ticket.",
    };
    text.line(PLAIN, 9.0, closing);
    Ok(content.finish().to_vec())
}

fn starts_at(ticket: &Ticket) -> Result<String, ApiError> {
    let format = format_description!("[year]-[month]-[day], [hour]:[minute] UTC");
    let formatted = ticket.event.starts_at.format(format);
    formatted.map_err(|error| ApiError::internal(format!("date of an event: {error}")))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a QR code has at most 177 squares a side"
)]
fn qr_code(content: &mut Content, code: &str, top: f32) -> Result<(), ApiError> {
    let (runs, side) = qr::runs(code)?;
    let square = QR_SIDE / (side + 2 * QUIET_MODULES) as f32;
    let quiet = QUIET_MODULES as f32 * square;
    content.set_fill_gray(0.0);
    for run in runs {
        let x = MARGIN + run.column as f32 * square;
        let y = top - quiet - (run.row + 1) as f32 * square;
        content.rect(x, y, run.length as f32 * square, square);
    }
    content.fill_nonzero();
    Ok(())
}

/// Lines of text, downwards.
struct Text<'a> {
    content: &'a mut Content,
    y: f32,
}

impl Text<'_> {
    fn line(&mut self, font: Name<'_>, size: f32, text: &str) {
        let shown: String = text.chars().take(LINE_CHARS).collect();
        self.content
            .begin_text()
            .set_font(font, size)
            .next_line(MARGIN, self.y)
            .show(Str(&win_ansi(&shown)))
            .end_text();
        self.y -= size * 1.4;
    }

    fn gap(&mut self, points: f32) {
        self.y -= points;
    }
}

/// Breaks at spaces; a word longer than a line is cut.
fn wrap(text: &str, chars_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word: String = word.chars().take(chars_max).collect();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= chars_max => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// Windows-1252 beyond Latin-1: the codes 0x80 to 0x9F, where it has characters.
const WIN_ANSI_EXTRA: &[(char, u8)] = &[
    ('€', 0x80),
    ('‚', 0x82),
    ('ƒ', 0x83),
    ('„', 0x84),
    ('…', 0x85),
    ('†', 0x86),
    ('‡', 0x87),
    ('ˆ', 0x88),
    ('‰', 0x89),
    ('Š', 0x8A),
    ('‹', 0x8B),
    ('Œ', 0x8C),
    ('Ž', 0x8E),
    ('‘', 0x91),
    ('’', 0x92),
    ('“', 0x93),
    ('”', 0x94),
    ('•', 0x95),
    ('–', 0x96),
    ('—', 0x97),
    ('˜', 0x98),
    ('™', 0x99),
    ('š', 0x9A),
    ('›', 0x9B),
    ('œ', 0x9C),
    ('ž', 0x9E),
    ('Ÿ', 0x9F),
];

/// Text as `WinAnsiEncoding` has it; `?` for what it hasn't.
pub fn win_ansi(text: &str) -> Vec<u8> {
    let encode = |c: char| match u8::try_from(c) {
        Ok(byte) if (0x20..0x7F).contains(&byte) || byte >= 0xA0 => byte,
        _ => {
            let extra = WIN_ANSI_EXTRA.iter().find(|(known, _)| *known == c);
            extra.map_or(b'?', |(_, byte)| *byte)
        }
    };
    text.chars().map(encode).collect()
}
