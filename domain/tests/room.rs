//! Phases, and what a place is told.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use catraca_domain::lease::{Range, VOID_RANGES_MAX};
use catraca_domain::room::{
    Challenge, Control, FailMode, Identity, Method, POLL_LOW_MS, POLL_MS, Phase, PlaceState,
    RoomConfig, Status, Stock,
};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = time::macros::datetime!(2026-06-01 12:00 UTC);

fn config(control: Control, opens_in: Option<i64>, sold_out: bool) -> RoomConfig {
    RoomConfig {
        room: "r".parse().unwrap(),
        version: 1,
        method: Method::Fifo,
        identity: Identity::Anonymous,
        challenge: Challenge::None,
        control,
        opens_at: opens_in.map(|seconds| NOW + Duration::seconds(seconds)),
        rate_per_minute: 60,
        max_active: 10,
        session_seconds: 600,
        claim_window_seconds: 60,
        lanes: Vec::new(),
        fail_mode: FailMode::Closed,
        message: None,
        sold_out,
        selling_out: false,
        dispensers: 1,
        beacon: None,
        stock_max: None,
    }
}

fn status(phase: Phase, lapsed: u64, frontier: u64) -> Status {
    Status {
        room: "r".parse().unwrap(),
        epoch: 1,
        phase,
        frontier,
        lapsed,
        waiting: 0,
        rate_per_minute: 60,
        opens_at: None,
        message: Some("hello".to_owned()),
        as_of: NOW,
        stock: Stock::Available,
        voids: Vec::new(),
        calls_per_minute: 60,
        lanes: Vec::new(),
    }
}

#[test]
fn phase_is_a_function_of_configuration_and_time() {
    use Control::{Closed, Open, Paused, Scheduled};
    for (control, opens_in, sold_out, phase) in [
        (Scheduled, Some(1), false, Phase::Lobby),
        (Scheduled, Some(0), false, Phase::Open),
        (Scheduled, Some(-1), false, Phase::Open),
        (Scheduled, Some(-1), true, Phase::SoldOut),
        (Scheduled, None, false, Phase::Closed),
        (Open, None, false, Phase::Open),
        (Open, Some(60), false, Phase::Open),
        (Open, None, true, Phase::SoldOut),
        (Paused, Some(-1), false, Phase::Paused),
        (Closed, Some(-1), true, Phase::Closed),
    ] {
        assert_eq!(
            config(control, opens_in, sold_out).phase(NOW),
            phase,
            "{control:?}"
        );
    }
}

#[test]
fn configuration_survives_the_wire() {
    let sent = config(Control::Scheduled, Some(90), false);
    let json = serde_json::to_string(&sent).unwrap();
    assert!(
        json.contains(r#""opens_at":"2026-06-01T12:01:30Z""#),
        "{json}"
    );
    assert_eq!(serde_json::from_str::<RoomConfig>(&json).unwrap(), sent);
}

#[test]
fn states_by_number() {
    let state = |phase, number| status(phase, 10, 20).view(number, NOW).state;
    for (number, expected) in [
        (10, PlaceState::Lapsed),
        (11, PlaceState::Called),
        (20, PlaceState::Called),
        (21, PlaceState::Waiting),
    ] {
        assert_eq!(state(Phase::Open, number), expected);
        assert_eq!(state(Phase::Paused, number), expected);
    }
    assert_eq!(state(Phase::Lobby, 21), PlaceState::Lobby);
    assert_eq!(state(Phase::Lobby, 20), PlaceState::Called);
}

#[test]
fn ahead_leaves_voids_out() {
    let mut status = status(Phase::Open, 0, 10);
    status.voids = vec![Range { lo: 5, hi: 13 }, Range { lo: 15, hi: 18 }];
    let ahead = |number| status.view(number, NOW).ahead;
    assert_eq!([ahead(13), ahead(14), ahead(18), ahead(19)], [0, 1, 2, 3]);
    assert_eq!(ahead(3), 0);
    assert_eq!(status.view(14, NOW).message.as_deref(), Some("hello"));
}

#[test]
fn no_estimate_while_the_line_stands() {
    assert!(
        status(Phase::Paused, 0, 0)
            .view(9, NOW)
            .eta_seconds
            .is_none()
    );
    let eta = status(Phase::Open, 0, 0).view(61, NOW).eta_seconds.unwrap();
    assert_eq!((eta.low, eta.high), (48, 80));
}

proptest! {
    #[test]
    fn any_view_is_sane(
        number: u64, frontier in 0..u64::MAX - 1, rate in 0..=600_000_u32, opens_in in -9_999_i64..9_999
    ) {
        let mut status = status(Phase::Open, frontier / 2, frontier);
        status.rate_per_minute = rate;
        status.opens_at = Some(NOW + Duration::seconds(opens_in));
        for phase in [Phase::Lobby, Phase::Open, Phase::Paused, Phase::SoldOut, Phase::Closed] {
            status.phase = phase;
            let view = status.view(number, NOW);
            prop_assert!(POLL_MS.contains(&view.poll_after_ms));
            prop_assert!(view.ahead <= number);
            if let Some(eta) = view.eta_seconds {
                prop_assert!(eta.low <= eta.high);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Invariant 9, as far as it is a matter of rules: however many wait, the document that answers them
    /// all is as small, and whoever is further back asks no sooner, the last ones every 20 s.
    #[test]
    fn those_who_wait_cost_no_more_for_being_many(
        waiting in 1_000..1_000_000_000_000_u64,
        rate in 1..=600_000_u32,
        calls_per_minute in 1..=600_000_u64,
        gaps in prop::collection::vec((1..1_000_000_u64, 1..1_000_u64), 0..VOID_RANGES_MAX),
        places in prop::collection::vec(any::<u64>(), 2..20),
    ) {
        let mut status = status(Phase::Open, 0, 10);
        (status.waiting, status.rate_per_minute) = (waiting, rate);
        status.calls_per_minute = calls_per_minute;
        let mut lo = 11;
        for (gap, len) in gaps {
            lo += gap;
            status.voids.push(Range { lo, hi: lo + len });
            lo += len;
        }
        let bytes = serde_json::to_vec(&status).unwrap().len();
        prop_assert!(bytes <= 512 + 48 * VOID_RANGES_MAX, "{bytes} bytes");
        let mut numbers: Vec<u64> = places.iter().map(|place| 11 + place % waiting).collect();
        numbers.sort_unstable();
        let polls: Vec<u64> = (numbers.iter())
            .map(|number| status.view(*number, NOW).poll_after_ms)
            .collect();
        prop_assert!(polls.is_sorted(), "{numbers:?}: {polls:?}");
        // Twenty seconds apart from 80 s of waiting on.
        let far = 11 + calls_per_minute * 2 + lo;
        prop_assert_eq!(status.view(far, NOW).poll_after_ms, *POLL_MS.end());
    }
}

#[test]
fn while_the_last_seats_go_everyone_asks_often() {
    let mut status = status(Phase::Open, 0, 10);
    let far = status.view(1_000_000, NOW).poll_after_ms;
    assert_eq!((far, status.poll_ms(far)), (*POLL_MS.end(), *POLL_MS.end()));
    status.stock = Stock::Low;
    assert_eq!(status.poll_ms(far), POLL_LOW_MS);
    assert_eq!(status.poll_ms(1_000), 1_000, "never less often");
    // Half a second until the core sees it, 0.8 s in the Worker's memory, the poll with its jitter.
    const { assert!(500 + 800 + POLL_LOW_MS * 12 / 10 < 5_000) };
}
