//! A text as a QR code: squares, drawn as SVG here and as rectangles in the PDF.

use crate::error::ApiError;
use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};

/// Blank squares that scanners need around the code (ISO/IEC 18004).
pub(super) const QUIET_MODULES: usize = 4;
/// Smallest side of the drawing, in CSS pixels.
const SVG_PIXELS_MIN: u32 = 320;

fn encode(text: &str) -> Result<QrCode, ApiError> {
    // Medium: a seventh may be dirty. More would only make finer squares.
    QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| ApiError::internal(format!("QR of {} bytes: {error}", text.len())))
}

/// The drawing.
pub(crate) fn svg(text: &str) -> Result<String, ApiError> {
    let qr = encode(text)?;
    Ok(qr
        .render::<svg::Color<'_>>()
        .min_dimensions(SVG_PIXELS_MIN, SVG_PIXELS_MIN)
        .quiet_zone(true)
        .dark_color(svg::Color("#000000"))
        .light_color(svg::Color("#ffffff"))
        .build())
}

/// A run of dark squares in one row.
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) length: usize,
}

/// The dark squares, row by row from the top, and how many squares a side has.
pub(super) fn runs(text: &str) -> Result<(Vec<Run>, usize), ApiError> {
    let qr = encode(text)?;
    let side = qr.width();
    let mut runs: Vec<Run> = Vec::new();
    for (at, color) in qr.to_colors().into_iter().enumerate() {
        if color == Color::Light {
            continue;
        }
        let (row, column) = (at / side, at % side);
        match runs.last_mut() {
            Some(run) if run.row == row && run.column + run.length == column => run.length += 1,
            _ => runs.push(Run {
                row,
                column,
                length: 1,
            }),
        }
    }
    Ok((runs, side))
}
