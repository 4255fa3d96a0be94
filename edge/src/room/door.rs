//! Where claims gather for a moment.

use crate::contract::{Claim, ClaimReply};
use futures::channel::oneshot::Sender;

/// How long the first waits for others, in milliseconds: short beside a write to the disk. While one is
/// under way those that come meanwhile gather by themselves.
pub(super) const GATHER_MS: u64 = 2;

/// Claims in order of arrival.
#[derive(Default)]
pub(super) struct Door {
    waiting: Vec<(Claim, Sender<ClaimReply>)>,
    opening: bool,
}

impl Door {
    /// One more. True when somebody has to see to it that it is decided.
    pub(super) fn arrive(&mut self, claim: Claim, sender: Sender<ClaimReply>) -> bool {
        self.waiting.push((claim, sender));
        !std::mem::replace(&mut self.opening, true)
    }

    /// Those to be decided now.
    pub(super) fn take(&mut self) -> Vec<(Claim, Sender<ClaimReply>)> {
        self.opening = false;
        std::mem::take(&mut self.waiting)
    }
}
