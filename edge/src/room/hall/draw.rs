//! The draw: when it is sealed and held, and where it puts a number in the line.

use super::Hall;
use crate::room::lottery::Lottery;
use crate::room::store::Document;
use crate::runtime::date;
use catraca_domain::draw::DrawError;
use catraca_domain::room::{Method, Phase};
use worker::Result;

impl Hall {
    /// Commits to a draw, once: there is no second try with another secret.
    pub(super) fn seal(&mut self, secret: [u8; 32]) -> Result<()> {
        let first = self.lottery.is_none() && self.release.standard.frontier == 0;
        if self.config.method == Method::Draw && first {
            let lottery =
                Lottery::seal(secret, self.config.beacon.as_ref()).map_err(broken_draw)?;
            self.store.save(Document::Draw, &lottery)?;
            self.lottery = Some(lottery);
        }
        Ok(())
    }

    /// Whether there will be a draw. Once anyone has been called it is too late for one.
    pub(super) fn awaits_draw(&self) -> bool {
        self.lottery.as_ref().is_some_and(|lottery| {
            lottery.draw().is_none()
                && (lottery.is_frozen()
                    || (self.config.method == Method::Draw && self.release.standard.frontier == 0))
        })
    }

    /// Takes the draw a step further when that is due.
    pub(super) fn hold_draw(&mut self, now_ms: u64) -> Result<()> {
        if !self.awaits_draw() {
            return Ok(());
        }
        let opening = self.config.phase(date(now_ms)) == Phase::Open;
        let Some(lottery) = &mut self.lottery else {
            return Ok(());
        };
        let room = &self.config.room;
        let changed = lottery
            .advance(
                room,
                &mut self.book,
                opening,
                self.config.beacon.as_ref(),
                now_ms,
            )
            .map_err(broken_draw)?;
        if changed {
            self.store.save(Document::Draw, &lottery)?;
            self.save_book(0)?;
        }
        Ok(())
    }

    /// Where a number stands in its line: only `standard` is drawn, and numbers of other lanes are
    /// beyond any draw.
    pub(super) fn position(&self, number: u64) -> u64 {
        let draw = self.lottery.as_ref().and_then(Lottery::draw);
        draw.map_or(number, |draw| draw.position(number))
    }
}

fn broken_draw(error: DrawError) -> worker::Error {
    worker::Error::from(error.to_string())
}
