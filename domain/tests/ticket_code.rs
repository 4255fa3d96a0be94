//! Ticket codes, against vectors that `vectors/make.py` computed, and against forgers.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use catraca_domain::hex32::Hex32;
use catraca_domain::ticket_code::{CodeError, KeysError, Payload, TicketKeys, kid, sign};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Vectors {
    seeds: Vec<Hex32>,
    jwks: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    code: String,
    verdict: String,
    payload: Option<Payload>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/tickets.json")).unwrap()
}

fn keys() -> TicketKeys {
    TicketKeys::from_jwks(&vectors().jwks.to_string()).unwrap()
}

fn signer(at: usize) -> SigningKey {
    SigningKey::from_bytes(&vectors().seeds[at].0)
}

#[test]
fn the_same_verdicts_as_the_second_opinion() {
    let keys = keys();
    for case in vectors().cases {
        match keys.verify(&case.code) {
            Ok(payload) => {
                assert_eq!(case.verdict, "genuine", "{}", case.name);
                assert_eq!(Some(payload), case.payload, "{}", case.name);
            }
            Err(error) => assert_eq!(case.verdict, error.as_str(), "{}", case.name),
        }
    }
}

#[test]
fn the_same_codes_and_key_names_as_the_second_opinion() {
    let vectors = vectors();
    let first = &vectors.cases[0];
    let code = sign(&signer(1), first.payload.as_ref().unwrap()).unwrap();
    assert_eq!(code, first.code);
    let published: Value = serde_json::from_str(&keys().to_jwks()).unwrap();
    assert_eq!(published, vectors.jwks);
}

#[test]
fn key_sets_are_read_with_care() {
    for bad in ["", "{}", "[]", r#"{"keys":{}}"#] {
        assert_eq!(TicketKeys::from_jwks(bad), Err(KeysError::Malformed));
    }
    let other_kind = r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"r"}]}"#;
    assert_eq!(TicketKeys::from_jwks(other_kind), Err(KeysError::Count(0)));
    let short = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}"#;
    assert_eq!(
        TicketKeys::from_jwks(short),
        Err(KeysError::Key("AAAA".to_owned()))
    );
    let key = signer(0).verifying_key();
    let once = TicketKeys::new([key, key]).unwrap();
    assert_eq!(once.kids().collect::<Vec<_>>(), [kid(&key)]);
    // A name that somebody else gave it is not believed.
    let renamed = keys().to_jwks().replace(&kid(&key), "another1");
    assert_eq!(TicketKeys::from_jwks(&renamed).unwrap(), keys());
}

#[test]
fn a_name_too_long_for_a_code_is_refused_when_signing() {
    let mut payload = vectors().cases[0].payload.clone().unwrap();
    payload.section = "x".repeat(2000);
    assert_eq!(sign(&signer(1), &payload), Err(CodeError::Malformed));
}

proptest! {
    #[test]
    fn whatever_is_signed_verifies_and_no_change_of_it_does(
        section in ".{0,40}", row in proptest::option::of(".{0,8}"), at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut payload = vectors().cases[0].payload.clone().unwrap();
        payload.section = section;
        payload.row = row;
        let code = sign(&signer(1), &payload).unwrap();
        prop_assert_eq!(keys().verify(&code), Ok(payload));
        let mut changed = code.clone().into_bytes();
        let at = at.index(changed.len());
        if changed[at] != byte && let Ok(changed) = { changed[at] = byte; String::from_utf8(changed) } {
            prop_assert!(keys().verify(&changed).is_err(), "changed at {}", at);
        }
    }

    #[test]
    fn any_text_at_all_is_judged_without_a_panic(text in ".{0,300}", tail in "T[12](\\.[A-Za-z0-9_-]{0,90}){0,4}") {
        prop_assert!(keys().verify(&text).is_err());
        prop_assert!(keys().verify(&tail).is_err());
    }
}
