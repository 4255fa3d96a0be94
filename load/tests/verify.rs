//! `verify-draw`, `verify-log` and `verify-ticket` as a visitor runs them, on the domain's frozen vectors.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::path::PathBuf;
use std::process::Output;

use axum::extract::{Query, State};
use axum::{Json, Router, routing::get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::process::Command;

fn vectors(name: &str) -> Value {
    let path = format!(
        "{}/../domain/tests/vectors/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A file with that text, by a name that no other test uses.
fn file(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn run(arguments: &[&str]) -> (bool, String, String) {
    let program = env!("CARGO_BIN_EXE_catraca-load");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(arguments)
        .output()
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

/// A place token's number can be read by anyone; its tag only by the room.
fn place(epoch: u32, number: u64) -> String {
    let payload = [
        &epoch.to_be_bytes()[..],
        &number.to_be_bytes(),
        &[0; 24],
        b"standard",
    ]
    .concat();
    format!("p1.a1.{}.AAAA", URL_SAFE_NO_PAD.encode(payload))
}

#[tokio::test]
async fn a_draw() {
    let case = vectors("draw")[2].clone();
    let record = file("true-record.json", &case["record"].to_string());
    let token = place(3, 7);
    let (ok, out, _) = run(&["verify-draw", &record, "--number", "2", "--place", &token]).await;
    assert!(ok, "{out}");
    assert!(out.contains("10 places drawn"), "{out}");
    assert!(
        out.contains(&format!("number 2: position {}\n", case["positions"][1])),
        "{out}"
    );
    assert!(
        out.contains(&format!("number 7: position {}\n", case["positions"][6])),
        "{out}"
    );
    assert!(out.contains("all 10 places recomputed in"), "{out}");
    let (_, out, _) = run(&["verify-draw", &record, "--number", "11", "--quick"]).await;
    assert!(
        out.contains("number 11: position 11 (came after the draw)"),
        "{out}"
    );
    for bad in [
        place(4, 7),
        place(3, 0),
        "p1.a1.AAAA.AAAA".to_owned(),
        "?".to_owned(),
    ] {
        let (ok, _, err) = run(&["verify-draw", &record, "--place", &bad]).await;
        assert!(!ok && !err.is_empty(), "{bad}");
    }
}

#[tokio::test]
async fn a_false_draw() {
    let mut record = vectors("draw")[2]["record"].clone();
    let truth = file("truth.json", &record.to_string());
    record["secret"] = json!("00".repeat(32));
    let lie = file("lie.json", &record.to_string());
    let (ok, out, err) = run(&["verify-draw", &lie]).await;
    assert!(
        !ok && out.is_empty() && err.starts_with("false: the secret is not"),
        "{err}"
    );
    let (ok, _, err) = run(&["verify-draw", &truth, "--sealed", &lie]).await;
    assert!(
        !ok && err.starts_with("false: the record contradicts"),
        "{err}"
    );
    let (ok, _, _) = run(&["verify-draw", &truth, "--sealed", &truth]).await;
    assert!(ok);
}

#[tokio::test]
async fn a_log() {
    let vectors = vectors("log");
    let page = file("page.json", &vectors["page"].to_string());
    let draw = file("log-draw.json", &vectors["draw"].to_string());
    let public = vectors["public"].as_str().unwrap();
    let log = [
        "verify-log",
        &page,
        "--draw",
        &draw,
        "--lane",
        "partner:acme",
        "--key",
    ];
    let (ok, out, err) = run(&[&log[..], &[public]].concat()).await;
    assert!(ok && out.starts_with("true: 10 admissions"), "{out}{err}");
    let x = URL_SAFE_NO_PAD.encode(hex::decode(public).unwrap());
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "l1", "x": x}]});
    let keys = file("keys.json", &keys.to_string());
    let (ok, out, err) = run(&[&log[..], &[&keys, "--json"]].concat()).await;
    assert!(ok, "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["lane_passes"], 1);
    let (ok, _, err) = run(&[&log[..3], &[&draw, "--key", public]].concat()).await;
    assert!(!ok && err.contains("the lane is not declared"), "{err}");
    let other = file("other-key.json", &keys_of(&"11".repeat(32)).to_string());
    let (ok, _, err) = run(&[&log[..], &[&other]].concat()).await;
    assert!(!ok && !err.is_empty());
}

fn keys_of(hex_digits: &str) -> Value {
    let x = URL_SAFE_NO_PAD.encode(hex::decode(hex_digits).unwrap());
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "l1", "x": x}]})
}

#[tokio::test]
async fn a_log_by_its_pages() {
    async fn serve(State(page): State<Value>, Query(query): Query<Value>) -> Json<Value> {
        let after: usize = query["after"].as_str().unwrap().parse().unwrap();
        let entries = page["entries"].as_array().unwrap();
        let mut page = page.clone();
        page["entries"] = json!(entries.iter().skip(after).take(4).collect::<Vec<_>>());
        Json(page)
    }
    let vectors = vectors("log");
    let router = Router::new()
        .route("/log", get(serve))
        .with_state(vectors["page"].clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/log", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let draw = file("paged-draw.json", &vectors["draw"].to_string());
    let public = vectors["public"].as_str().unwrap();
    let arguments = [
        "verify-log",
        &url,
        "--draw",
        &draw,
        "--lane",
        "partner:acme",
        "--key",
        public,
    ];
    let (ok, out, err) = run(&arguments).await;
    assert!(ok && out.starts_with("true: 10 admissions"), "{out}{err}");
}

/// The status and what was printed.
async fn verify_ticket(arguments: &[&str], input: &str) -> (i32, String, String) {
    use tokio::io::AsyncWriteExt as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_catraca-load"))
        .arg("verify-ticket")
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that does not read its input may be gone already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let out = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        out.status.code().unwrap(),
        text(out.stdout),
        text(out.stderr),
    )
}

#[tokio::test]
async fn tickets_have_the_frozen_verdicts() {
    let vectors = vectors("tickets");
    let keys = file("ticket-keys.json", &vectors["jwks"].to_string());
    for case in vectors["cases"].as_array().unwrap() {
        let code = case["code"].as_str().unwrap();
        // An empty line is passed over, so that there is nothing to judge.
        let code = if code.is_empty() { "." } else { code };
        let (status, out, err) = verify_ticket(&["--keys", &keys, "--json", code], "").await;
        let said: Value = serde_json::from_str(&out).unwrap();
        let (wanted, verdict) = match case["verdict"].as_str().unwrap() {
            "genuine" => (0, "good"),
            other => (1, other),
        };
        assert_eq!(
            (status, said["verdict"].as_str()),
            (wanted, Some(verdict)),
            "{case} {err}"
        );
        if wanted == 0 {
            assert_eq!(said["says"], case["payload"], "{case}");
        }
    }
}

#[tokio::test]
async fn a_ticket_is_refused_when_void_or_shown_before_or_for_another_event() {
    let vectors = vectors("tickets");
    let keys = file("door-keys.json", &vectors["jwks"].to_string());
    let code = |at: usize| vectors["cases"][at]["code"].as_str().unwrap();
    let void = json!({"event": "big-show-2026", "title": "x",
        "void": [vectors["cases"][1]["payload"]["t"]]});
    let void = file("door.json", &void.to_string());
    let lines = format!("{}\n\n {} \n{}\n", code(0), code(1), code(0));
    let (status, out, _) = verify_ticket(&["--keys", &keys, "--void", &void, "-"], &lines).await;
    let verdicts: Vec<&str> = out.lines().collect();
    assert_eq!((status, verdicts.len()), (1, 3), "{out}");
    assert!(
        verdicts[0].starts_with("good: big-show-2026, section Platéia, row C, seat 7, ticket"),
        "{out}"
    );
    assert!(verdicts[1].starts_with("refused (void): "), "{out}");
    assert!(verdicts[2].starts_with("refused (repeated): "), "{out}");

    let (status, out, _) = verify_ticket(&["--keys", &keys, "--event", "other", code(0)], "").await;
    assert!(
        status == 1 && out.starts_with("refused (other_event): a ticket for big-show-2026"),
        "{out}"
    );
    // Nothing to go by is no verdict, and is not taken for a refusal.
    let wrong_event = [
        "--keys",
        &keys,
        "--event",
        "other",
        "--void",
        &void,
        code(0),
    ];
    for nothing in [
        &["--keys", "/nowhere", code(0)][..],
        &["--keys", &void, code(0)],
        &["--keys", &keys, "-"],
        &wrong_event,
    ] {
        let (status, out, err) = verify_ticket(nothing, "").await;
        assert!(
            status == 2 && out.is_empty() && err.starts_with("no verdict: "),
            "{out}{err}"
        );
    }
}
