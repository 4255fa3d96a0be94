//! The draw, against vectors that `vectors/make.py` computed, and against false records.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use catraca_domain::draw::ballot::Ballot;
use catraca_domain::draw::{Draw, DrawError, DrawRecord, RECORD_BYTES_MAX};
use catraca_domain::feistel::{Permutation, SIZE_MAX};
use catraca_domain::hex32::Hex32;
use catraca_domain::lease::Range;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    record: Value,
    numbers: Vec<u64>,
    positions: Vec<u64>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("vectors/draw.json")).unwrap()
}

/// A true record, with a beacon, as JSON to be spoiled.
fn truth() -> Value {
    cases().remove(2).record
}

fn verify(record: &Value) -> Result<Draw, DrawError> {
    DrawRecord::parse(&record.to_string())?.verify()
}

fn refused(record: &Value) -> DrawError {
    verify(record).unwrap_err()
}

#[test]
fn frozen_vectors() {
    for case in cases() {
        let draw = verify(&case.record).unwrap();
        for (number, position) in case.numbers.into_iter().zip(case.positions) {
            assert_eq!(draw.position(number), position, "{}", case.record);
            assert_eq!(draw.number_at(position), number, "{}", case.record);
        }
    }
}

#[test]
fn every_size_is_permuted() {
    let sizes = (0..=300).chain([1023, 1024, 1025, 4095, 4096, 4097, 10_000]);
    for size in sizes {
        let permutation = Permutation::new([7; 32], size).unwrap();
        let mut seen = vec![false; usize::try_from(size).unwrap()];
        for index in 0..size {
            let to = permutation.apply(index);
            assert_eq!(permutation.invert(to), index, "size {size}");
            let seen = &mut seen[usize::try_from(to).unwrap()];
            assert!(!std::mem::replace(seen, true), "size {size}: {to} twice");
        }
        assert_eq!(permutation.apply(size), size, "outside stays where it is");
    }
}

#[test]
fn a_million_places() {
    let draw = verify(&cases()[6].record).unwrap();
    let spots = || (1..=1_000_000).step_by(37);
    let mut positions: Vec<u64> = spots().map(|number| draw.position(number)).collect();
    for (number, position) in spots().zip(&positions) {
        assert_eq!(draw.number_at(*position), number);
    }
    positions.sort_unstable();
    assert!(
        positions.windows(2).all(|pair| pair[0] < pair[1]),
        "a position twice"
    );
}

#[test]
fn each_position_is_as_likely_for_each_number() {
    // 2,400 keys: of the 10 x 10 pairs each is expected 240 times. Chi-square with 81 degrees
    // of freedom is above 150 once in 200,000 times by chance; the keys are fixed.
    let mut pairs = [[0_u32; 10]; 10];
    // Of the 24 orders of four, each 100 times: 23 degrees, above 65 once in 130,000.
    let mut orders = std::collections::BTreeMap::new();
    for key in 0_u32..2_400 {
        let key = Hex32::sha256(&[b"uniform", &key.to_be_bytes()]).0;
        let ten = Permutation::new(key, 10).unwrap();
        for index in 0..10 {
            pairs[usize::try_from(index).unwrap()][usize::try_from(ten.apply(index)).unwrap()] += 1;
        }
        let four = Permutation::new(key, 4).unwrap();
        let order: Vec<u64> = (0..4).map(|index| four.apply(index)).collect();
        *orders.entry(order).or_insert(0_u32) += 1;
    }
    let square = |seen: u32, expected: f64| (f64::from(seen) - expected).powi(2) / expected;
    let chi: f64 = pairs
        .iter()
        .flatten()
        .map(|seen| square(*seen, 240.0))
        .sum();
    assert!(chi < 150.0, "pairs: chi-square {chi}");
    assert_eq!(orders.len(), 24);
    let chi: f64 = orders.values().map(|seen| square(*seen, 100.0)).sum();
    assert!(chi < 65.0, "orders: chi-square {chi}");
}

#[test]
fn neighbours_are_torn_apart() {
    // In a random order of a million, neighbours are a third of a million apart on average,
    // give or take a fraction of a percent.
    let draw = verify(&cases()[7].record).unwrap();
    let apart: u64 = (1..20_000)
        .map(|number| draw.position(number).abs_diff(draw.position(number + 1)))
        .sum();
    let mean = apart / 19_999;
    assert!((325_000..342_000).contains(&mean), "{mean}");
}

#[test]
fn a_false_record_is_told_from_a_true_one() {
    let mut other_secret = truth();
    other_secret["secret"] = json!("00".repeat(32));
    assert_eq!(refused(&other_secret), DrawError::Commitment);
    let mut other_commitment = truth();
    other_commitment["commitment"] = other_secret["secret"].clone();
    assert_eq!(refused(&other_commitment), DrawError::Commitment);
    let mut no_value = truth();
    no_value["beacon"] = json!({"source": "drand"});
    assert_eq!(refused(&no_value), DrawError::BeaconValue);
    let mut too_many = truth();
    too_many["count"] = json!(SIZE_MAX + 1);
    assert_eq!(refused(&too_many), DrawError::Count);
    let mut early = truth();
    early.as_object_mut().unwrap().remove("count");
    assert_eq!(refused(&early), DrawError::OutOfTurn);
    let mut frozen = truth();
    frozen["beacon"] = json!({"source": "drand"});
    frozen.as_object_mut().unwrap().remove("secret");
    assert_eq!(refused(&frozen), DrawError::Frozen);
    frozen.as_object_mut().unwrap().remove("count");
    assert_eq!(refused(&frozen), DrawError::Sealed);
}

#[test]
fn everything_in_the_record_counts() {
    let positions = |record: &Value| {
        let draw = verify(record).unwrap();
        (1..=10)
            .map(|number| draw.position(number))
            .collect::<Vec<_>>()
    };
    let of_truth = positions(&truth());
    for (field, value) in [
        ("room", json!("big-show-2027")),
        ("epoch", json!(4)),
        ("count", json!(11)),
        ("beacon", Value::Null),
        (
            "beacon",
            json!({"source": "drand/quicknet/12345679", "value": "0f".repeat(32)}),
        ),
        (
            "beacon",
            json!({"source": "drand/quicknet/12345678", "value": "0e".repeat(32)}),
        ),
        (
            "beacon",
            json!({"source": "drand/quicknet/123456780", "value": "f0".repeat(16)}),
        ),
    ] {
        let mut other = truth();
        other[field] = value;
        assert_ne!(positions(&other), of_truth, "{other}");
    }
}

#[test]
fn unreadable_records() {
    let true_text = truth().to_string();
    assert!(DrawRecord::parse(&true_text).is_ok());
    let unknown = true_text.replacen('{', r#"{"extra":1,"#, 1);
    let doubled = true_text.replacen('{', r#"{"epoch":3,"#, 1);
    let upper = true_text.replace("\"commitment\":\"", "\"commitment\":\"A");
    let algorithm = true_text.replace("sha256-v1", "sha256-v2");
    let negative = true_text.replace("\"epoch\":3", "\"epoch\":-3");
    let fraction = true_text.replace("\"count\":10", "\"count\":10.0");
    let room = true_text.replace("big-show-2026", "Big Show");
    let long = format!("{true_text}{}", " ".repeat(RECORD_BYTES_MAX));
    for text in [
        "", "{}", "null", "[]", &unknown, &doubled, &upper, &algorithm, &negative, &fraction,
        &room, &long,
    ] {
        assert_eq!(DrawRecord::parse(text), Err(DrawError::Malformed), "{text}");
    }
    for source in ["", "é", "a\nb", &"x".repeat(257)] {
        let mut record = truth();
        record["beacon"] = json!({"source": source, "value": "1"});
        assert_eq!(refused(&record), DrawError::Beacon, "{source}");
    }
}

#[test]
fn a_ballot_goes_one_way() {
    let (room, secret) = ("big-show-2026".parse().unwrap(), [9; 32]);
    let mut ballot = Ballot::seal(secret, Some("drand/1".to_owned())).unwrap();
    let sealed = ballot.record(&room, 1);
    assert_eq!((sealed.secret, sealed.count), (None, None));
    assert_eq!(sealed.commitment, Hex32::sha256(&[&secret]));
    assert_eq!(sealed.verify().unwrap_err(), DrawError::Sealed);
    assert_eq!(ballot.reveal(Some("1".to_owned())), Err(DrawError::Sealed));

    assert_eq!(ballot.freeze(SIZE_MAX + 1), Err(DrawError::Count));
    assert_eq!(ballot.freeze(50), Ok(true));
    assert_eq!(ballot.freeze(60), Ok(false), "the first count stays");
    let frozen = ballot.record(&room, 1);
    assert_eq!((frozen.secret, frozen.count), (None, Some(50)));
    assert_eq!(frozen.follows(&sealed), Ok(()));

    assert_eq!(ballot.reveal(None), Err(DrawError::BeaconValue));
    assert_eq!(ballot.reveal(Some(String::new())), Err(DrawError::Beacon));
    assert_eq!(ballot.reveal(Some("17".to_owned())), Ok(true));
    assert_eq!(
        ballot.reveal(Some("18".to_owned())),
        Ok(false),
        "the first value stays"
    );
    let revealed = ballot.record(&room, 1);
    assert_eq!(revealed.verify().unwrap().count(), 50);
    assert_eq!(revealed.follows(&frozen), Ok(()));
    assert_eq!(revealed.follows(&sealed), Ok(()));
    assert_eq!(sealed.follows(&revealed), Err(DrawError::Contradiction));

    let stored = serde_json::to_string(&ballot).unwrap();
    assert_eq!(serde_json::from_str::<Ballot>(&stored).unwrap(), ballot);
    assert!(!format!("{ballot:?}").contains("0909"));
    let text = serde_json::to_string(&sealed).unwrap();
    assert!(!text.contains("0909") && DrawRecord::parse(&text) == Ok(sealed));
}

#[test]
fn a_ballot_without_a_beacon_takes_none() {
    let mut ballot = Ballot::seal([1; 32], None).unwrap();
    assert_eq!(ballot.freeze(3), Ok(true));
    assert_eq!(
        ballot.reveal(Some("1".to_owned())),
        Err(DrawError::BeaconValue)
    );
    assert_eq!(ballot.reveal(None), Ok(true));
}

#[test]
fn a_record_that_changed_its_mind() {
    let truth = DrawRecord::parse(&truth().to_string()).unwrap();
    for change in [
        |record: &mut DrawRecord| record.epoch += 1,
        |record: &mut DrawRecord| record.room = "other".parse().unwrap(),
        |record: &mut DrawRecord| record.commitment = Hex32([0; 32]),
        |record: &mut DrawRecord| record.secret = Some(Hex32([0; 32])),
        |record: &mut DrawRecord| record.count = Some(9),
        |record: &mut DrawRecord| record.beacon = None,
        |record: &mut DrawRecord| record.beacon.as_mut().unwrap().source.push('0'),
        |record: &mut DrawRecord| record.beacon.as_mut().unwrap().value = Some("1".to_owned()),
    ] {
        let mut other = truth.clone();
        change(&mut other);
        assert_eq!(other.follows(&truth), Err(DrawError::Contradiction));
    }
}

#[test]
fn voids_take_their_positions() {
    let draw = verify(&truth()).unwrap();
    let voids = [
        Range { lo: 3, hi: 5 },
        Range { lo: 9, hi: 13 },
        Range { lo: 20, hi: 22 },
    ];
    let taken = draw.positions_of(&voids);
    for position in 0..30 {
        let number = draw.number_at(position);
        let void = voids
            .iter()
            .any(|range| (range.lo..range.hi).contains(&number));
        let found = taken
            .iter()
            .any(|range| (range.lo..range.hi).contains(&position));
        assert_eq!(found, void, "position {position}");
    }
    assert!(
        taken.windows(2).all(|pair| pair[0].hi < pair[1].lo),
        "{taken:?}"
    );
}

proptest! {
    #[test]
    fn inverse(key: [u8; 32], size in 1..=SIZE_MAX, index: u64) {
        let permutation = Permutation::new(key, size).unwrap();
        let index = index % size;
        let to = permutation.apply(index);
        prop_assert!(to < size);
        prop_assert_eq!(permutation.invert(to), index);
    }

    #[test]
    fn written_out_it_is_the_same(key: [u8; 32], bits in 0..32_u32, below: u64, index: u64) {
        let size = (1 << bits) + below % (1 << bits);
        let permutation = Permutation::new(key, size).unwrap();
        let (tabled, index) = (permutation.clone().tabled(), index % size);
        let to = permutation.apply(index);
        prop_assert_eq!(tabled.apply(index), to);
        prop_assert_eq!(tabled.invert(to), index);
    }

    #[test]
    fn late_joiners_queue_behind(seed: [u8; 32], count in 0..5_000_u64, late in 1..1_000_000_u64) {
        let mut ballot = Ballot::seal(seed, None).unwrap();
        ballot.freeze(count).unwrap();
        ballot.reveal(None).unwrap();
        let draw = ballot.record(&"r".parse().unwrap(), 1).verify().unwrap();
        prop_assert_eq!(draw.position(count + late), count + late);
        prop_assert_eq!(draw.number_at(count + late), count + late);
        if count > 0 {
            prop_assert!((1..=count).contains(&draw.position(late % count + 1)));
        }
    }

    #[test]
    fn any_text_is_read_without_harm(text in ".{0,300}") {
        prop_assert!(DrawRecord::parse(&text).is_err());
    }
}
