//! The admission log, against vectors that `vectors/make.py` computed, and against forgers.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use catraca_domain::admission_log::verifier::{Fault, Report, Seen, Terms, Verifier};
use catraca_domain::admission_log::{Admitted, Chain, Entry, LogName, Page, SignedHead, jti_hash};
use catraca_domain::draw::DrawRecord;
use catraca_domain::hex32::Hex32;
use catraca_domain::ids::{Jti, Lane};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    seed: Hex32,
    public: Hex32,
    jtis: Vec<Jti>,
    heads: Vec<Hex32>,
    draw: DrawRecord,
    page: Page,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/log.json")).unwrap()
}

fn lane(name: &str) -> Lane {
    name.parse().unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&vectors().seed.0)
}

fn fifo() -> LogName {
    LogName {
        room: "big-show-2026".parse().unwrap(),
        epoch: 1,
        draw: None,
    }
}

fn terms(log: LogName, draw: Option<DrawRecord>) -> Terms {
    Terms {
        log,
        keys: vec![("l1".to_owned(), key().verifying_key())],
        lanes: vec![lane("partner:acme")],
        draw,
        claim_window_ms: Some(1_000),
    }
}

/// A log as a Room writes it, from (number, lane, time, frontier).
fn write(log: &LogName, admitted: &[(u64, &str, u64, u64)]) -> Page {
    let mut chain = Chain::begin(log);
    let entries = admitted
        .iter()
        .map(|&(number, name, at_ms, frontier)| {
            let jti = catraca_domain::admission::jti(number, [1; 10]);
            chain.append(&Admitted {
                number,
                lane: lane(name),
                at_ms,
                jti,
                frontier,
            })
        })
        .collect();
    let head = SignedHead::sign(log, &chain, 99_999, "l1", &key());
    Page {
        log: log.clone(),
        entries,
        head,
    }
}

/// The same entries, chained and signed again: what a Room that lies could publish.
fn rewrite(page: &Page, change: impl FnOnce(&mut Vec<Entry>)) -> Page {
    let mut page = page.clone();
    change(&mut page.entries);
    let mut chain = Chain::begin(&page.log);
    for (at, entry) in page.entries.iter_mut().enumerate() {
        entry.index = u64::try_from(at).unwrap() + 1;
        entry.at_ms = entry.at_ms.max(chain.at_ms);
        chain.follow(entry).unwrap();
    }
    page.head = SignedHead::sign(&page.log, &chain, 99_999, "l1", &key());
    page
}

fn verify(page: &Page) -> Result<Report, Fault> {
    verify_pages(terms(page.log.clone(), None), &[page], &[], &[])
}

fn verify_pages(
    terms: Terms,
    pages: &[&Page],
    heads: &[&SignedHead],
    seen: &[Seen],
) -> Result<Report, Fault> {
    let mut verifier = Verifier::new(terms)?;
    heads.iter().try_for_each(|head| verifier.head(head))?;
    for seen in seen {
        verifier.saw(seen.clone());
    }
    pages.iter().try_for_each(|page| verifier.page(page))?;
    verifier.finish()
}

const ORDERLY: [(u64, &str, u64, u64); 6] = [
    (1, "standard", 1_000, 3),
    (3, "standard", 1_000, 3),
    (2, "standard", 2_500, 4),
    (9, "partner:acme", 2_500, 9),
    (4, "standard", 2_600, 7),
    (7, "standard", 2_700, 7),
];

#[test]
fn frozen_vectors() {
    let Vectors {
        seed: _,
        public,
        jtis,
        heads,
        draw,
        page,
    } = vectors();
    assert_eq!(key().verifying_key().to_bytes(), public.0);
    let mut chain = Chain::begin(&page.log);
    assert_eq!(chain.head, heads[0]);
    for (entry, (jti, head)) in page.entries.iter().zip(jtis.iter().zip(&heads[1..])) {
        let appended = chain.append(&Admitted {
            number: entry.number,
            lane: entry.lane.clone(),
            at_ms: entry.at_ms,
            jti: *jti,
            frontier: entry.frontier,
        });
        assert_eq!((&appended, chain.head), (entry, *head));
    }
    let signed = SignedHead::sign(&page.log, &chain, page.head.at_ms, "l1", &key());
    assert_eq!(signed, page.head, "the signature, too, by two programs");
    let report = verify_pages(terms(page.log.clone(), Some(draw)), &[&page], &[], &[]).unwrap();
    assert_eq!(
        (report.admitted, report.lane_passes, report.heads),
        (10, 1, 1)
    );
}

#[test]
fn what_a_report_counts() {
    let report = verify(&write(&fifo(), &ORDERLY)).unwrap();
    assert_eq!((report.admitted, report.lane_passes), (6, 1));
    let standard = &report.lanes["standard"];
    assert_eq!(standard.admitted, 5);
    assert_eq!(
        (standard.overtaken, standard.overtakers_max),
        (1, 1),
        "3 went before 2"
    );
    assert_eq!(standard.claim_delay_ms_max, 1_500, "2 was called at 1,000");
    assert_eq!(standard.after_window, Some(1));
    assert_eq!(standard.called_ahead_max, 3);
    assert_eq!(report.lanes["partner:acme"].admitted, 1);
}

#[test]
fn an_empty_log_is_true() {
    let report = verify(&write(&fifo(), &[])).unwrap();
    assert_eq!((report.admitted, report.lanes.len()), (0, 0));
}

#[test]
fn removed_reordered_altered() {
    let page = write(&fifo(), &ORDERLY);
    for at in 0..6 {
        let mut removed = page.clone();
        removed.entries.remove(at);
        let expected = match at {
            5 => Fault::Truncated {
                given: 5,
                signed: 6,
            },
            _ => Fault::Broken(u64::try_from(at).unwrap() + 1),
        };
        assert_eq!(verify(&removed), Err(expected));
    }
    let mut reordered = page.clone();
    reordered.entries.swap(0, 1);
    assert_eq!(verify(&reordered), Err(Fault::Broken(1)));
    reordered.entries[0].index = 1;
    reordered.entries[1].index = 2;
    assert_eq!(verify(&reordered), Err(Fault::Fork(6)));
    for change in [
        |entry: &mut Entry| entry.number = 30,
        |entry: &mut Entry| entry.lane = lane("partner:acme"),
        |entry: &mut Entry| entry.at_ms += 1,
        |entry: &mut Entry| entry.jti_hash.0[31] ^= 1,
        |entry: &mut Entry| entry.frontier += 1,
    ] {
        let mut altered = page.clone();
        change(&mut altered.entries[5]);
        assert!(
            matches!(verify(&altered), Err(Fault::Fork(6))),
            "{altered:?}"
        );
    }
    let mut put_in = page.clone();
    let mut entry = put_in.entries[5].clone();
    (entry.index, entry.number) = (7, 6);
    put_in.entries.push(entry);
    assert_eq!(verify(&put_in), Err(Fault::Unsigned(6)));
}

#[test]
fn forged_heads() {
    let page = write(&fifo(), &ORDERLY);
    let other_key = SigningKey::from_bytes(&[5; 32]);
    let mut chain = Chain::begin(&page.log);
    page.entries
        .iter()
        .for_each(|entry| chain.follow(entry).unwrap());
    let forged = SignedHead::sign(&page.log, &chain, 99_999, "l1", &other_key);
    let other_log = LogName { epoch: 2, ..fifo() };
    let foreign = SignedHead::sign(&other_log, &chain, 99_999, "l1", &key());
    let unknown = SignedHead::sign(&page.log, &chain, 99_999, "l2", &key());
    let later = SignedHead {
        at_ms: 100_000,
        ..page.head.clone()
    };
    let longer = SignedHead {
        index: 7,
        ..page.head.clone()
    };
    for head in [forged, foreign, unknown, later, longer] {
        let index = head.index;
        let page = Page {
            head,
            ..page.clone()
        };
        assert_eq!(verify(&page), Err(Fault::Signature(index)));
    }
}

#[test]
fn a_fork_shows_in_a_head_that_somebody_kept() {
    let first = write(&fifo(), &ORDERLY[..3]);
    let truth = write(&fifo(), &ORDERLY);
    let kept = [&first.head];
    let terms = || terms(fifo(), None);
    assert!(verify_pages(terms(), &[&truth], &kept, &[]).is_ok());
    assert_eq!(rewrite(&truth, |_| ()), truth);
    let lie = rewrite(&truth, |entries| {
        entries.swap(1, 2);
        entries[1].frontier = 3;
    });
    assert!(verify(&lie).is_ok(), "alone, it can't be told");
    assert_eq!(
        verify_pages(terms(), &[&lie], &kept, &[]),
        Err(Fault::Fork(3))
    );
    // Nor does it help to have read the pages first.
    let mut verifier = Verifier::new(terms()).unwrap();
    verifier.page(&lie).unwrap();
    assert_eq!(verifier.head(&first.head), Err(Fault::Fork(3)));
    // Rewriting it shorter shows too.
    assert_eq!(
        verify_pages(terms(), &[&first], &[&truth.head], &[]),
        Err(Fault::Truncated {
            given: 3,
            signed: 6
        })
    );
}

#[test]
fn pages_follow_each_other() {
    let whole = write(&fifo(), &ORDERLY);
    let part = |from: usize, to: usize| Page {
        entries: whole.entries[from..to].to_vec(),
        ..whole.clone()
    };
    let (one, two, three) = (part(0, 2), part(2, 3), part(3, 6));
    let read = |pages: &[&Page]| verify_pages(terms(fifo(), None), pages, &[], &[]);
    assert_eq!(read(&[&one, &two, &three]), verify(&whole));
    assert_eq!(read(&[&one, &three]), Err(Fault::Broken(3)));
    assert_eq!(read(&[&one, &one]), Err(Fault::Broken(3)));
    assert_eq!(
        read(&[&one, &two]),
        Err(Fault::Truncated {
            given: 3,
            signed: 6
        })
    );
    let other = write(&LogName { epoch: 2, ..fifo() }, &[]);
    assert_eq!(read(&[&one, &other]), Err(Fault::OtherLog));
}

#[test]
fn a_room_that_lets_in_out_of_order() {
    let uncalled = [(1, "standard", 1, 3), (4, "standard", 2, 3)];
    assert_eq!(
        verify(&write(&fifo(), &uncalled)),
        Err(Fault::OutOfOrder {
            index: 2,
            position: 4,
            frontier: 3
        })
    );
    let back = [(1, "standard", 1, 3), (2, "standard", 2, 2)];
    assert_eq!(verify(&write(&fifo(), &back)), Err(Fault::FrontierBack(2)));
    let twice = [(1, "standard", 1, 3), (1, "partner:acme", 2, 3)];
    assert_eq!(verify(&write(&fifo(), &twice)), Err(Fault::Twice(2)));
    let undeclared = [(1, "standard", 1, 3), (2, "priority", 2, 3)];
    assert_eq!(
        verify(&write(&fifo(), &undeclared)),
        Err(Fault::UndeclaredLane(2))
    );
}

#[test]
fn the_frontier_is_the_one_the_public_saw() {
    let page = write(&fifo(), &ORDERLY);
    let judge = |at_ms, frontier| {
        let seen = Seen {
            at_ms,
            lane: Lane::standard(),
            frontier,
        };
        verify_pages(terms(fifo(), None), &[&page], &[], &[seen])
    };
    for (at_ms, frontier) in [
        (0, 0),
        (900, 2),
        (1_000, 3),
        (2_000, 3),
        (2_550, 4),
        (9_000, 500),
    ] {
        assert!(judge(at_ms, frontier).is_ok(), "{at_ms} {frontier}");
    }
    let too_far = Fault::NotAsSeen {
        index: 1,
        logged: 3,
        seen: 2,
    };
    assert_eq!(judge(1_001, 2), Err(too_far));
    assert!(judge(2_000, 5).is_err(), "4 at 2,500 is behind 5 at 2,000");
    assert!(
        judge(2_650, 6).is_err(),
        "7 at 2,600 is ahead of 6 at 2,650"
    );
}

#[test]
fn a_draw_is_followed_to_the_letter() {
    let Vectors { draw, page, .. } = vectors();
    let judge = |page: &Page, draw| verify_pages(terms(page.log.clone(), draw), &[page], &[], &[]);
    assert!(judge(&page, Some(draw.clone())).is_ok());
    assert!(matches!(judge(&page, None), Err(Fault::Draw(_))));
    let mut other = draw.clone();
    other.epoch = 4;
    assert_eq!(judge(&page, Some(other)), Err(Fault::OtherLog));
    let mut false_secret = draw.clone();
    false_secret.secret = Some(Hex32([0; 32]));
    assert!(matches!(
        judge(&page, Some(false_secret)),
        Err(Fault::Draw(_))
    ));
    let favour = rewrite(&page, |entries| entries.swap(0, 9));
    assert!(judge(&favour, Some(draw.clone())).is_err());
    let by_number = rewrite(&page, |entries| {
        entries.sort_by_key(|entry| entry.number);
        let frontiers = [3, 3, 3, 6, 6, 6, 9, 9, 9, 10];
        entries
            .iter_mut()
            .zip(frontiers)
            .for_each(|(entry, frontier)| entry.frontier = frontier);
    });
    assert!(matches!(
        judge(&by_number, Some(draw)),
        Err(Fault::OutOfOrder { .. })
    ));
}

#[test]
fn a_clock_set_back_gives_no_earlier_entry() {
    let page = write(
        &fifo(),
        &[(1, "standard", 5_000, 2), (2, "standard", 3_000, 2)],
    );
    assert_eq!(page.entries[1].at_ms, 5_000);
    assert!(verify(&page).is_ok());
}

#[test]
fn pages_are_read_strictly() {
    let text = serde_json::to_string(&vectors().page).unwrap();
    assert!(serde_json::from_str::<Page>(&text).is_ok());
    let page = |text: &str| serde_json::from_str::<Page>(text).is_err();
    assert!(page(&text.replacen(
        "\"index\":1,",
        "\"index\":1,\"x\":1,",
        1
    )));
    assert!(page(&text.replacen("standard", "vip", 1)));
    assert!(page(&text.replacen(
        "\"signature\":\"",
        "\"signature\":\"0",
        1
    )));
    assert_ne!(jti_hash(vectors().jtis[0]), jti_hash(vectors().jtis[1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_claim_order_within_the_called_is_true(
        steps in prop::collection::vec((1..8_u64, prop::collection::vec(any::<prop::sample::Index>(), 0..8)), 1..12),
    ) {
        let (mut frontier, mut waiting, mut admitted, mut at_ms) = (0, Vec::new(), Vec::new(), 0);
        for (called, claims) in steps {
            waiting.extend(frontier + 1..=frontier + called);
            frontier += called;
            for claim in claims.into_iter().take(waiting.len()) {
                let number = waiting.remove(claim.index(waiting.len()));
                at_ms += 100;
                admitted.push((number, "standard", at_ms, frontier));
            }
        }
        let page = write(&fifo(), &admitted);
        let report = verify(&page).unwrap();
        prop_assert_eq!(report.admitted, u64::try_from(admitted.len()).unwrap());
        if let Some(standard) = report.lanes.get("standard") {
            let overtakers = |at: usize| {
                admitted[..at].iter().filter(|before| before.0 > admitted[at].0).count()
            };
            let naive: Vec<usize> = (0..admitted.len()).map(overtakers).collect();
            let overtaken = naive.iter().filter(|count| **count > 0).count();
            prop_assert_eq!(standard.overtaken, u64::try_from(overtaken).unwrap());
            let most = naive.iter().max().copied().unwrap_or(0);
            prop_assert_eq!(standard.overtakers_max, u64::try_from(most).unwrap());
        }
    }

    #[test]
    fn any_damage_to_any_entry_shows(at in 0..6_usize, field in 0..5, delta in 1..1_000_u64) {
        let mut page = write(&fifo(), &ORDERLY);
        let entry = &mut page.entries[at];
        match field {
            0 => entry.index += delta,
            1 => entry.number += delta,
            2 => entry.at_ms += delta,
            3 => entry.frontier += delta,
            _ => entry.jti_hash.0[usize::try_from(delta).unwrap() % 32] ^= 1,
        }
        prop_assert!(verify(&page).is_err());
    }
}
