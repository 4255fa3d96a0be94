//! Keyrings: what is accepted, and that nothing secret is said about what isn't.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use catraca_domain::keyring::{KEYS_MAX, Keyring, KeyringError};

const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn key(kid: &str, secret: &str) -> String {
    format!(r#"{{"kid":"{kid}","secret":"{secret}"}}"#)
}

fn error(json: &str) -> KeyringError {
    Keyring::from_json(json).unwrap_err()
}

#[test]
fn first_signs_all_are_found() {
    let json = format!("[{},{}]", key("new", SECRET), key("old_1-x", SECRET));
    let ring = Keyring::from_json(&json).unwrap();
    assert_eq!(ring.signer().kid, "new");
    assert_eq!(ring.find("old_1-x").unwrap().kid, "old_1-x");
    assert!(ring.find("").is_none() && ring.find("older").is_none());
    assert_eq!(ring.iter().count(), 2);
}

#[test]
fn refused() {
    for json in ["", "{}", "[1]", r#"[{"kid":"a"}]"#, "null"] {
        assert_eq!(error(json), KeyringError::Malformed, "{json}");
    }
    assert_eq!(error("[]"), KeyringError::Count(0));
    let many: Vec<String> = (0..=KEYS_MAX)
        .map(|n| key(&n.to_string(), SECRET))
        .collect();
    assert_eq!(
        error(&format!("[{}]", many.join(","))),
        KeyringError::Count(KEYS_MAX + 1)
    );
    for kid in ["", "a.b", "a b", "é", &"k".repeat(33)] {
        let json = format!("[{}]", key(kid, SECRET));
        assert_eq!(error(&json), KeyringError::Kid(kid.to_owned()));
    }
    let twice = format!("[{},{}]", key("a", SECRET), key("a", SECRET));
    assert_eq!(error(&twice), KeyringError::Kid("a".to_owned()));
    for secret in [
        "",
        "AAAA",
        &SECRET[..42],
        "====",
        "not base64url of 32 bytes!!!!!!!!!!!!!!!!!!!",
    ] {
        let json = format!("[{}]", key("a", secret));
        assert_eq!(error(&json), KeyringError::Weak("a".to_owned()));
    }
}

#[test]
fn secrets_are_not_printed() {
    let ring = Keyring::from_json(&format!("[{}]", key("a", SECRET))).unwrap();
    let printed = format!("{ring:?}");
    assert!(printed.contains("REDACTED") && !printed.contains("AAEC") && !printed.contains("1, 2"));
    let weak = error(&format!("[{}]", key("a", "c2VjcmV0")));
    assert!(!weak.to_string().contains("c2VjcmV0"));
}
