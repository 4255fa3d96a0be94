//! Place tokens against vectors computed with Python's `hmac`, and against forgers.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use catraca_domain::ids::{RoomName, VisitorId};
use catraca_domain::keyring::Keyring;
use catraca_domain::place::{InvalidPlace, Place, TOKEN_BYTES_MAX};
use proptest::prelude::*;

const OLD: &str = r#"{"kid":"a1","secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;
const NEW: &str = r#"{"kid":"b2","secret":"ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1-f4CBgoM"}"#;
const VISITOR: &str = "6f1c2b7e-3d0a-4c55-9b1e-0a2b3c4d5e6f";
const GOLDEN: &str = "p1.a1.AAAAAwAAAAAAEtaHAAABm3baqHtvHCt-PQpMVZseCis8TV5vcGFydG5lcjphY21l.\
     5XwWPdPBrK6Jec86xegula9cWIZlUSHPohbJcmTW-mM";
const GOLDEN_FIRST: &str = "p1.a1.AAAAAQAAAAAAAAABAAAAAAAAAABvHCt-PQpMVZseCis8TV5vc3RhbmRhcmQ.\
     KsFhyXAsoUENyWDjh1X48mJYGVU3bITP5AEJ746mTqs";

fn ring(keys: &[&str]) -> Keyring {
    Keyring::from_json(&format!("[{}]", keys.join(","))).unwrap()
}

fn room(name: &str) -> RoomName {
    name.parse().unwrap()
}

fn place(epoch: u32, number: u64, joined_at_ms: u64, lane: &str) -> Place {
    Place {
        epoch,
        number,
        joined_at_ms,
        visitor: VISITOR.parse::<VisitorId>().unwrap(),
        lane: lane.parse().unwrap(),
    }
}

#[test]
fn golden_vectors() {
    let keys = ring(&[OLD]);
    let first = place(3, 1_234_567, 1_767_225_600_123, "partner:acme");
    assert_eq!(first.mint(&room("big-show-2026"), &keys), GOLDEN);
    assert_eq!(
        Place::verify(GOLDEN, &room("big-show-2026"), &keys),
        Ok(first)
    );
    let second = place(1, 1, 0, "standard");
    assert_eq!(second.mint(&room("x"), &keys), GOLDEN_FIRST);
    assert_eq!(Place::verify(GOLDEN_FIRST, &room("x"), &keys), Ok(second));
}

#[test]
fn worthless_in_another_room_or_under_another_key() {
    for name in ["big-show-2027", "big-show-202", "x"] {
        assert_eq!(
            Place::verify(GOLDEN, &room(name), &ring(&[OLD])),
            Err(InvalidPlace)
        );
    }
    let renamed = OLD.replace("AAEC", "BAEC");
    for keys in [NEW, renamed.as_str()] {
        let verified = Place::verify(GOLDEN, &room("big-show-2026"), &ring(&[keys]));
        assert_eq!(verified, Err(InvalidPlace));
    }
}

#[test]
fn rotation_turns_nobody_away() {
    let name = room("big-show-2026");
    let rotated = ring(&[NEW, OLD]);
    assert!(Place::verify(GOLDEN, &name, &rotated).is_ok());
    let minted = place(1, 2, 3, "priority").mint(&name, &rotated);
    assert!(minted.starts_with("p1.b2."));
    assert!(Place::verify(&minted, &name, &ring(&[NEW])).is_ok());
    assert!(Place::verify(&minted, &name, &ring(&[OLD])).is_err());
}

#[test]
fn damaged_tokens() {
    let name = room("big-show-2026");
    let keys = ring(&[OLD]);
    let long = "p".repeat(TOKEN_BYTES_MAX + 1);
    let padded = format!("{GOLDEN}=");
    let five = format!("{GOLDEN}.x");
    let parts: Vec<&str> = GOLDEN.split('.').collect();
    let unsigned = format!("{}.{}.{}.", parts[0], parts[1], parts[2]);
    let short_tag = format!("{}.{}.{}.{}", parts[0], parts[1], parts[2], &parts[3][..20]);
    let second_version = GOLDEN.replacen("p1", "p2", 1);
    for token in [
        "",
        ".",
        "...",
        "p1...",
        "p1.a1..",
        &long,
        &padded,
        &five,
        &unsigned,
        &short_tag,
        &second_version,
    ] {
        assert_eq!(
            Place::verify(token, &name, &keys),
            Err(InvalidPlace),
            "{token}"
        );
    }
}

proptest! {
    #[test]
    fn round_trip(epoch: u32, number: u64, joined_at_ms: u64) {
        let place = place(epoch, number, joined_at_ms, "standard");
        let keys = ring(&[OLD]);
        let token = place.mint(&room("r"), &keys);
        prop_assert_eq!(Place::verify(&token, &room("r"), &keys), Ok(place));
    }

    #[test]
    fn one_changed_character_is_a_forgery(at in 0..GOLDEN.len(), to in "[A-Za-z0-9_.-]") {
        let mut token = GOLDEN.to_owned();
        token.replace_range(at..=at, &to);
        prop_assume!(token != GOLDEN);
        let verified = Place::verify(&token, &room("big-show-2026"), &ring(&[OLD]));
        prop_assert_eq!(verified, Err(InvalidPlace));
    }

    #[test]
    fn any_text_is_looked_at_without_harm(token in ".{0,600}") {
        prop_assert!(Place::verify(&token, &room("r"), &ring(&[OLD])).is_err());
    }
}
