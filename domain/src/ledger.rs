//! The ledger of an order, in double entry: each entry takes an amount from one account and gives
//! it to another, so that an order's accounts always add up to nothing.
//!
//! Its entries follow from four running totals that only grow. Whoever changes one enters what it
//! grew by; the new total is the entry's name, so the same change is never entered twice.

use thiserror::Error;

/// Where money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// What the provider holds for us.
    Provider,
    /// What we owe the buyer, seats or money: nothing once the order has come to rest.
    Owed,
    /// What was sold.
    Sales,
}

impl Account {
    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Owed => "owed",
            Self::Sales => "sales",
        }
    }
}

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The provider took the money: it holds it, we owe the buyer.
    Captured,
    /// The buyer has the tickets: sold.
    Issued,
    /// Tickets are void, or a part of the price is to go back: we owe the buyer again.
    Revoked,
    /// The provider gave money back.
    Refunded,
}

impl Kind {
    /// Every kind, in the order in which money passes through them.
    pub const ALL: [Self; 4] = [Self::Captured, Self::Issued, Self::Revoked, Self::Refunded];

    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Issued => "issued",
            Self::Revoked => "revoked",
            Self::Refunded => "refunded",
        }
    }

    /// The account that gets the amount, and the one that gives it.
    pub const fn accounts(self) -> (Account, Account) {
        match self {
            Self::Captured => (Account::Provider, Account::Owed),
            Self::Issued => (Account::Owed, Account::Sales),
            Self::Revoked => (Account::Sales, Account::Owed),
            Self::Refunded => (Account::Owed, Account::Provider),
        }
    }
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What it is for.
    pub kind: Kind,
    /// The total of that kind after it: with the kind, its name within the order.
    pub total_minor: i64,
    /// What the total grew by, in minor units.
    pub amount_minor: i64,
}

/// What must not be entered.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum LedgerError {
    /// A total that had been entered is less now.
    #[error("the total {0} went back")]
    WentBack(&'static str),
    /// More given back than taken, or more revoked than issued.
    #[error("more is {0} than there was")]
    TooMuch(&'static str),
}

/// An order's running totals, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Totals {
    /// Taken by the provider.
    pub captured: i64,
    /// Paid for by tickets that were issued.
    pub issued: i64,
    /// Of that, what the buyer is to have back.
    pub revoked: i64,
    /// Given back by the provider.
    pub refunded: i64,
}

impl Totals {
    /// One of them.
    pub const fn of(&self, kind: Kind) -> i64 {
        match kind {
            Kind::Captured => self.captured,
            Kind::Issued => self.issued,
            Kind::Revoked => self.revoked,
            Kind::Refunded => self.refunded,
        }
    }

    /// One of them, to be changed.
    pub const fn of_mut(&mut self, kind: Kind) -> &mut i64 {
        match kind {
            Kind::Captured => &mut self.captured,
            Kind::Issued => &mut self.issued,
            Kind::Revoked => &mut self.revoked,
            Kind::Refunded => &mut self.refunded,
        }
    }

    /// What an account has: of the three, the sum is nothing.
    pub const fn balance(&self, account: Account) -> i64 {
        match account {
            Account::Provider => self.captured - self.refunded,
            Account::Owed => self.refunded + self.issued - self.captured - self.revoked,
            Account::Sales => self.revoked - self.issued,
        }
    }

    /// The tickets are issued: what the provider still holds is sold.
    #[must_use]
    pub const fn issue(self) -> Self {
        Self {
            issued: self.revoked + self.captured - self.refunded,
            ..self
        }
    }

    /// So much of the price is to go back.
    #[must_use]
    pub const fn revoke(self, amount_minor: i64) -> Self {
        Self {
            revoked: self.revoked + amount_minor,
            ..self
        }
    }

    /// Every ticket is void.
    #[must_use]
    pub const fn revoke_all(self) -> Self {
        Self {
            revoked: self.issued,
            ..self
        }
    }

    /// What the provider says it has taken and given back. What was seen once is not unsaid.
    #[must_use]
    pub fn seen(self, captured_minor: i64, refunded_minor: i64) -> Self {
        Self {
            captured: self.captured.max(captured_minor),
            refunded: self.refunded.max(refunded_minor),
            ..self
        }
    }

    /// Of an order whose tickets are out: what went back although nobody here asked for it.
    pub const fn given_back_unasked(&self) -> i64 {
        let owed = self.balance(Account::Owed);
        if self.issued > 0 && owed > 0 { owed } else { 0 }
    }

    /// What is to be entered to get from here to there; none when they are the same.
    ///
    /// # Errors
    /// When a total went back, or there is more going out of an account than ever came in.
    pub fn entries_to(&self, after: &Self) -> Result<Vec<Entry>, LedgerError> {
        if after.refunded > after.captured {
            return Err(LedgerError::TooMuch("refunded"));
        }
        if after.revoked > after.issued {
            return Err(LedgerError::TooMuch("revoked"));
        }
        if after.issued > after.captured {
            return Err(LedgerError::TooMuch("issued"));
        }
        let mut entries = Vec::new();
        for kind in Kind::ALL {
            let (total_minor, before) = (after.of(kind), self.of(kind));
            if total_minor < before {
                return Err(LedgerError::WentBack(kind.as_str()));
            }
            if total_minor > before {
                entries.push(Entry {
                    kind,
                    total_minor,
                    amount_minor: total_minor - before,
                });
            }
        }
        Ok(entries)
    }
}
