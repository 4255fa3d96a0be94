//! People who came together for numbers: one call of the Worker's.

use crate::contract::{NewStanding, Numbers, Refusal};
use futures::channel::oneshot::Sender;

/// They, and what they have so far.
pub(super) struct Party {
    /// How many have no number yet.
    pub(super) left: u32,
    numbers: Numbers,
    sender: Sender<Numbers>,
}

impl Party {
    pub(super) fn new(people: u32, sender: Sender<Numbers>) -> Self {
        Self {
            left: people,
            numbers: Numbers::default(),
            sender,
        }
    }

    /// Whether anybody waits for the answer.
    pub(super) fn is_there(&self) -> bool {
        !self.sender.is_canceled()
    }

    /// A number for the next of them.
    pub(super) fn take(&mut self, epoch: u32, number: u64, standing: NewStanding) {
        self.numbers.push(epoch, number, standing);
        self.left -= 1;
    }

    /// They have what they came for. False: nothing is left to be done.
    pub(super) fn answer(self) -> bool {
        // Whoever has gone meanwhile has gone.
        let _gone = self.sender.send(self.numbers);
        false
    }

    /// Those without a number get none. False: nothing is left to be done.
    pub(super) fn refuse(mut self, refusal: Refusal) -> bool {
        self.numbers.rest = Some(refusal);
        self.answer()
    }
}
