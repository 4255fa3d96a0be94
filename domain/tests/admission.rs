//! Admission tokens against vectors computed with Python's `hmac`, and against forgers.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use catraca_domain::admission::{Admission, AdmissionError, ISSUER, jti, jti_number};
use catraca_domain::ids::{Lane, RoomName};
use catraca_domain::keyring::Keyring;
use proptest::prelude::*;

const OLD: &str = r#"{"kid":"a1","secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;
const NEW: &str = r#"{"kid":"b2","secret":"ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1-f4CBgoM"}"#;
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImExIiwidHlwIjoiSldUIn0";
const HEADER_NONE: &str = "eyJhbGciOiJub25lIiwia2lkIjoiYTEiLCJ0eXAiOiJKV1QifQ";
const HEADER_HS512: &str = "eyJhbGciOiJIUzUxMiIsImtpZCI6ImExIiwidHlwIjoiSldUIn0";
const CLAIMS: &str = "eyJpc3MiOiJjYXRyYWNhIiwiYXVkIjoiYmlnLXNob3ctMjAyNiIsInN1YiI6IjZmMWMyYjdlLTNk\
     MGEtNGM1NS05YjFlLTBhMmIzYzRkNWU2ZiIsImp0aSI6IjAwMDAwMDEyLWQ2ODctOGEwYi04YzBkLTBlMGYxMDExMTIx\
     MyIsImlhdCI6MTc2NzIyNTYwMCwibmJmIjoxNzY3MjI1NjAwLCJleHAiOjE3NjcyMjYyMDAsIm51bSI6MTIzNDU2Nywib\
     GFuZSI6InN0YW5kYXJkIiwiZXBvY2giOjN9";
const CLAIMS_OF_ANOTHER_ISSUER: &str = "eyJpc3MiOiJvdGhlciIsImF1ZCI6ImJpZy1zaG93LTIwMjYiLCJzdWIiO\
     iI2ZjFjMmI3ZS0zZDBhLTRjNTUtOWIxZS0wYTJiM2M0ZDVlNmYiLCJqdGkiOiIwMDAwMDAxMi1kNjg3LThhMGItOGMwZC\
     0wZTBmMTAxMTEyMTMiLCJpYXQiOjE3NjcyMjU2MDAsIm5iZiI6MTc2NzIyNTYwMCwiZXhwIjoxNzY3MjI2MjAwLCJudW0\
     iOjEyMzQ1NjcsImxhbmUiOiJzdGFuZGFyZCIsImVwb2NoIjozfQ";
const TAG: &str = "Bf1j9MahlMD1f_zdWIkg26wduddS9gWPQ8_-XTcYUe4";
const TAG_NONE: &str = "mtMdos_WGXPjae_lbpeijZqkXCLNNKezZYZSWOfwlO8";
const TAG_HS512: &str = "uehHZjlSp8nfNA9HtIr2llRxOOTz-BwZQHhw4WxtnLc";
const TAG_OF_ANOTHER_ISSUER: &str = "MtL-UmveEJB6uJsGNzdXgpW82Nfp8WBqasCCFM4d67w";
const IAT: u64 = 1_767_225_600;
const EXP: u64 = 1_767_226_200;

fn ring(keys: &[&str]) -> Keyring {
    Keyring::from_json(&format!("[{}]", keys.join(","))).unwrap()
}

fn room() -> RoomName {
    "big-show-2026".parse().unwrap()
}

fn golden() -> String {
    [HEADER, CLAIMS, TAG].join(".")
}

fn admission() -> Admission {
    Admission {
        iss: ISSUER.to_owned(),
        aud: room(),
        sub: "6f1c2b7e-3d0a-4c55-9b1e-0a2b3c4d5e6f".parse().unwrap(),
        jti: jti(1_234_567, [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]),
        iat: IAT,
        nbf: IAT,
        exp: EXP,
        num: 1_234_567,
        lane: Lane::standard(),
        epoch: 3,
    }
}

fn verify(token: &str, keys: &[&str], now: u64) -> Result<Admission, AdmissionError> {
    Admission::verify(token, &room(), &ring(keys), now)
}

#[test]
fn golden_vector() {
    assert_eq!(admission().mint(&ring(&[OLD])), golden());
    assert_eq!(verify(&golden(), &[OLD], IAT), Ok(admission()));
}

#[test]
fn lives_from_its_first_second_to_before_its_last() {
    assert!(verify(&golden(), &[OLD], EXP - 1).is_ok());
    for now in [0, IAT - 1, EXP, u64::MAX] {
        assert_eq!(verify(&golden(), &[OLD], now), Err(AdmissionError::Expired));
    }
}

#[test]
fn no_other_algorithm_even_when_signed() {
    let none = format!("{HEADER_NONE}.{CLAIMS}.");
    let signed_none = [HEADER_NONE, CLAIMS, TAG_NONE].join(".");
    let hs512 = [HEADER_HS512, CLAIMS, TAG_HS512].join(".");
    for token in [none, signed_none, hs512] {
        assert_eq!(verify(&token, &[OLD], IAT), Err(AdmissionError::Algorithm));
    }
}

#[test]
fn of_another_room_issuer_or_key() {
    let other: RoomName = "other".parse().unwrap();
    let elsewhere = Admission::verify(&golden(), &other, &ring(&[OLD]), IAT);
    assert_eq!(elsewhere, Err(AdmissionError::Audience));
    let issued = [HEADER, CLAIMS_OF_ANOTHER_ISSUER, TAG_OF_ANOTHER_ISSUER].join(".");
    assert_eq!(verify(&issued, &[OLD], IAT), Err(AdmissionError::Audience));
    assert_eq!(
        verify(&golden(), &[NEW], IAT),
        Err(AdmissionError::Signature)
    );
    let grafted = [HEADER, CLAIMS_OF_ANOTHER_ISSUER, TAG].join(".");
    assert_eq!(
        verify(&grafted, &[OLD], IAT),
        Err(AdmissionError::Signature)
    );
}

#[test]
fn rotation_turns_nobody_away() {
    assert!(verify(&golden(), &[NEW, OLD], IAT).is_ok());
    let minted = admission().mint(&ring(&[NEW, OLD]));
    assert!(verify(&minted, &[NEW], IAT).is_ok());
    assert_eq!(verify(&minted, &[OLD], IAT), Err(AdmissionError::Signature));
}

#[test]
fn the_id_contains_the_number() {
    for number in [0, 1, 1_234_567, (1 << 48) - 1] {
        let id = jti(number, [0xff; 10]);
        assert_eq!(jti_number(id), number);
        assert_eq!(id.0.get_version_num(), 8);
    }
    assert_eq!(
        admission().jti.to_string(),
        "00000012-d687-8a0b-8c0d-0e0f10111213"
    );
}

proptest! {
    #[test]
    fn one_changed_character_is_refused(at in 0..golden().len(), to in "[A-Za-z0-9_.-]") {
        let mut token = golden();
        token.replace_range(at..=at, &to);
        prop_assume!(token != golden());
        prop_assert!(verify(&token, &[OLD], IAT).is_err());
    }

    #[test]
    fn any_text_is_looked_at_without_harm(token in ".{0,300}") {
        prop_assert!(verify(&token, &[OLD], IAT).is_err());
    }
}
