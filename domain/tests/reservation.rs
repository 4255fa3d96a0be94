//! A hold ends once, and only settlement may go back on that.

use catraca_domain::reservation::{HoldEvent, HoldState};

const STATES: [HoldState; 4] = [
    HoldState::Active,
    HoldState::Sold,
    HoldState::Released,
    HoldState::Expired,
];
const EVENTS: [HoldEvent; 5] = [
    HoldEvent::Sell,
    HoldEvent::Retake,
    HoldEvent::Release,
    HoldEvent::GiveBack,
    HoldEvent::Expire,
];

#[test]
fn nothing_becomes_active_again() {
    for state in STATES {
        for event in EVENTS {
            assert_ne!(state.on(event), Ok(HoldState::Active));
        }
    }
}

#[test]
fn repeating_an_event_changes_nothing_more() {
    for state in STATES {
        for event in EVENTS {
            if let Ok(next) = state.on(event) {
                assert_eq!(next.on(event), Ok(next), "{state:?} {event:?}");
            }
        }
    }
}

#[test]
fn an_end_is_final_for_everyone_but_settlement() {
    for state in [HoldState::Sold, HoldState::Released, HoldState::Expired] {
        for event in [HoldEvent::Sell, HoldEvent::Release, HoldEvent::Expire] {
            let next = state.on(event);
            assert!(
                next == Ok(state) || next.is_err(),
                "{state:?} {event:?} gave {next:?}"
            );
        }
    }
    assert_eq!(
        HoldState::Expired.on(HoldEvent::Retake),
        Ok(HoldState::Sold)
    );
    assert_eq!(
        HoldState::Sold.on(HoldEvent::GiveBack),
        Ok(HoldState::Released)
    );
    assert!(HoldState::Expired.on(HoldEvent::GiveBack).is_err());
}

#[test]
fn a_refusal_says_what_was_asked_of_what() {
    let refused = HoldState::Expired.on(HoldEvent::Sell).unwrap_err();
    assert_eq!(
        (refused.from, refused.event),
        (HoldState::Expired, HoldEvent::Sell)
    );
    assert_eq!(refused.to_string(), "a hold that is Expired can't Sell");
}

#[test]
fn names_read_back() {
    for state in STATES {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    assert!("gone".parse::<HoldState>().is_err());
}
