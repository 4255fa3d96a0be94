//! Whatever is entered, it balances, it is entered once, and it never goes back.

use catraca_domain::ledger::{Account, Entry, Kind, LedgerError, Totals};
use proptest::prelude::*;

const ACCOUNTS: [Account; 3] = [Account::Provider, Account::Owed, Account::Sales];

/// The accounts by their legs alone.
fn balance(entries: &[Entry], account: Account) -> i64 {
    let leg = |entry: &Entry| match entry.kind.accounts() {
        (debit, _) if debit == account => entry.amount_minor,
        (_, credit) if credit == account => -entry.amount_minor,
        _ => 0,
    };
    entries.iter().map(leg).sum()
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Seen(i64, i64),
    Issue,
    Revoke(i64),
    RevokeAll,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..500_i64, 0..500_i64).prop_map(|(captured, refunded)| Act::Seen(captured, refunded)),
        Just(Act::Issue),
        (0..200_i64).prop_map(Act::Revoke),
        Just(Act::RevokeAll),
    ]
}

proptest! {
    #[test]
    fn anything_that_may_be_entered_balances(acts in prop::collection::vec(act(), 0..30)) {
        let mut totals = Totals::default();
        let mut book: Vec<Entry> = Vec::new();
        for act in acts {
            let after = match act {
                Act::Seen(captured, refunded) => totals.seen(captured, refunded),
                Act::Issue => totals.issue(),
                Act::Revoke(amount) => totals.revoke(amount),
                Act::RevokeAll => totals.revoke_all(),
            };
            let Ok(entries) = totals.entries_to(&after) else {
                continue;
            };
            prop_assert!(entries.iter().all(|entry| entry.amount_minor > 0));
            book.extend(entries);
            totals = after;
            // Asked again, there is nothing more to enter.
            prop_assert_eq!(totals.entries_to(&after), Ok(Vec::new()));
            let balances = ACCOUNTS.map(|account| balance(&book, account));
            prop_assert_eq!(balances, ACCOUNTS.map(|account| totals.balance(account)));
            prop_assert_eq!(balances.iter().sum::<i64>(), 0);
            prop_assert!(totals.balance(Account::Provider) >= 0);
            prop_assert!(totals.balance(Account::Sales) <= 0);
        }
        for kind in Kind::ALL {
            let mut names: Vec<i64> = book
                .iter()
                .filter(|entry| entry.kind == kind)
                .map(|entry| entry.total_minor)
                .collect();
            prop_assert!(names.is_sorted());
            let before = names.len();
            names.dedup();
            prop_assert_eq!(names.len(), before, "a cause was entered twice");
        }
    }
}

#[test]
fn a_sale_with_a_part_given_back() {
    let paid = Totals::default().seen(300, 0).issue();
    assert_eq!(paid.balance(Account::Owed), 0);
    assert_eq!(paid.balance(Account::Sales), -300);
    let asked = paid.revoke(100);
    assert_eq!(asked.balance(Account::Owed), -100);
    assert_eq!(asked.given_back_unasked(), 0);
    let done = asked.seen(300, 100);
    assert_eq!(done.balance(Account::Owed), 0);
    assert_eq!(done.balance(Account::Provider), 200);
    // Somebody at the provider's desk gives another 50 back.
    assert_eq!(done.seen(300, 150).given_back_unasked(), 50);
}

#[test]
fn what_must_not_be_is_refused() {
    let none = Totals::default();
    assert_eq!(
        none.entries_to(&none.seen(100, 101)),
        Err(LedgerError::TooMuch("refunded"))
    );
    let paid = none.seen(100, 0).issue();
    assert_eq!(
        none.entries_to(&paid.revoke(101)),
        Err(LedgerError::TooMuch("revoked"))
    );
    assert_eq!(
        paid.entries_to(&none),
        Err(LedgerError::WentBack("captured"))
    );
}
