//! Signed bodies, against a vector computed with Python's `hmac`.

use catraca_domain::secret::Secret;
use catraca_domain::signature::{SignatureError, TOLERANCE_SECONDS, sign, verify};

const AT: i64 = 1_767_225_600;
const BODY: &[u8] = br#"{"a":1}"#;
const GOLDEN: &str =
    "t=1767225600,v1=6d204545ff126a339c00513d93603299c984074ce1331c3537c3f6c976b49019";

fn secret() -> Secret {
    Secret::from("whsec_test")
}

fn check(header: &str, body: &[u8], now: i64) -> Result<(), SignatureError> {
    verify(&[secret()], header, body, now)
}

#[test]
fn golden_vector() {
    assert_eq!(sign(&secret(), AT, BODY), GOLDEN);
    assert_eq!(check(GOLDEN, BODY, AT), Ok(()));
}

#[test]
fn tolerance_ends_where_it_says() {
    for now in [AT - TOLERANCE_SECONDS, AT + TOLERANCE_SECONDS] {
        assert_eq!(check(GOLDEN, BODY, now), Ok(()));
    }
    for now in [
        AT - TOLERANCE_SECONDS - 1,
        AT + TOLERANCE_SECONDS + 1,
        i64::MAX,
        i64::MIN,
    ] {
        assert_eq!(check(GOLDEN, BODY, now), Err(SignatureError::Stale));
    }
}

#[test]
fn forged() {
    assert_eq!(
        check(GOLDEN, b"{\"a\":2}", AT),
        Err(SignatureError::Mismatch)
    );
    let moved = GOLDEN.replace("t=1767225600", "t=1767225601");
    assert_eq!(check(&moved, BODY, AT), Err(SignatureError::Mismatch));
    let other = verify(&[Secret::from("x")], GOLDEN, BODY, AT);
    assert_eq!(other, Err(SignatureError::Mismatch));
    assert_eq!(verify(&[], GOLDEN, BODY, AT), Err(SignatureError::Mismatch));
    let old_scheme = GOLDEN.replace("v1=", "v0=");
    assert_eq!(check(&old_scheme, BODY, AT), Err(SignatureError::Malformed));
}

#[test]
fn either_secret_while_one_is_rotated() {
    let both = [Secret::from("new"), secret()];
    assert_eq!(verify(&both, GOLDEN, BODY, AT), Ok(()));
    let two_tags = format!("{GOLDEN},v1={}", "00".repeat(32));
    assert_eq!(check(&two_tags, BODY, AT), Ok(()));
}

#[test]
fn malformed() {
    let long = format!("{GOLDEN},{}", "v0=1,".repeat(2_000));
    let no_end = "t=1767225600,v1=0";
    for header in [
        "",
        ",",
        "t=1",
        "v1=00",
        "t=x,v1=00",
        no_end,
        "t=1,v1=zz",
        "t=1,v1=éé",
        &long,
    ] {
        assert_eq!(
            check(header, BODY, AT),
            Err(SignatureError::Malformed),
            "{header}"
        );
    }
}
