//! Lane passes: read back as made, worthless elsewhere, later, or changed.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use catraca_domain::ids::RoomName;
use catraca_domain::lane_pass::{InvalidPass, LanePass};
use catraca_domain::secret::Secret;
use proptest::prelude::*;

/// Made with Python's hmac and base64 from the format as documented. Frozen.
const FROZEN: &str = include_str!("vectors/lane_pass.txt");

fn pass() -> LanePass {
    LanePass {
        lane: "partner:acme".parse().unwrap(),
        id: [7; 16],
        expires_at: 1_800_000_000,
    }
}

fn room(name: &str) -> RoomName {
    name.parse().unwrap()
}

#[test]
fn the_frozen_pass() {
    let secret = Secret::from("core and edge");
    assert_eq!(pass().mint(&room("hamlet"), &secret), FROZEN.trim());
    let read = LanePass::verify(FROZEN.trim(), &room("hamlet"), &secret, 1_799_999_999);
    assert_eq!(read, Ok(pass()));
}

#[test]
fn elsewhere_later_and_with_another_secret_it_is_worthless() {
    let secret = Secret::from("core and edge");
    let verify = |name, secret, now| LanePass::verify(FROZEN.trim(), &room(name), secret, now);
    assert_eq!(
        verify("hamlet", &secret, 1_800_000_000),
        Err(InvalidPass::Expired)
    );
    assert_eq!(verify("lear", &secret, 0), Err(InvalidPass::Unknown));
    assert_eq!(
        verify("hamlet", &Secret::from("x"), 0),
        Err(InvalidPass::Unknown)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_pass_opens_nothing(id: [u8; 16], at in 0_usize..200, to in 33_u8..127, ends in 1..u64::MAX) {
        let (secret, room) = (Secret::from("s"), room("r"));
        let pass = LanePass { id, expires_at: ends, ..pass() };
        let text = pass.mint(&room, &secret);
        prop_assert_eq!(LanePass::verify(&text, &room, &secret, ends - 1), Ok(pass));
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = to;
        let changed = String::from_utf8(bytes).unwrap();
        // The last character's unused bits must be zero, so no other spelling is taken either.
        if changed != text {
            prop_assert_eq!(LanePass::verify(&changed, &room, &secret, 0), Err(InvalidPass::Unknown));
        }
    }

    #[test]
    fn nonsense_is_refused(text in ".{0,300}") {
        let read = LanePass::verify(&text, &room("r"), &Secret::from("s"), 0);
        prop_assert_eq!(read, Err(InvalidPass::Unknown));
    }
}
