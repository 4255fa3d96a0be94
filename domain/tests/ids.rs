//! Names are parsed at the border; an id tells its event.

use catraca_domain::ids::{EventNumber, Lane, OrderId, RoomName};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn an_id_tells_its_event(number in any::<i32>(), random in any::<[u8; 12]>()) {
        let id = EventNumber(number).scoped_id(random);
        prop_assert_eq!(EventNumber::of(id), EventNumber(number));
        prop_assert_eq!(id.get_version_num(), 8);
        let order = OrderId(id);
        prop_assert_eq!(order.to_string().parse::<OrderId>().unwrap(), order);
    }

    #[test]
    fn any_text_is_a_slug_or_refused(text in "\\PC{0,70}") {
        let fits = (1..=63).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        prop_assert_eq!(text.parse::<RoomName>().is_ok(), fits);
    }

    #[test]
    fn slugs_read_back(text in "[a-z0-9][a-z0-9-]{0,62}") {
        let name: RoomName = text.parse().unwrap();
        let json = serde_json::to_string(&name).unwrap();
        prop_assert_eq!(serde_json::from_str::<RoomName>(&json).unwrap(), name);
    }
}

#[test]
fn lanes_are_declared_classes() {
    for good in ["standard", "priority", "partner:bank-1"] {
        assert_eq!(good.parse::<Lane>().unwrap().as_str(), good);
    }
    for bad in [
        "",
        "vip",
        "partner:",
        "partner:Bank",
        "Standard",
        "partner:-x",
    ] {
        assert!(bad.parse::<Lane>().is_err(), "{bad:?}");
    }
    let long = format!("partner:{}", "x".repeat(64));
    assert!(long.parse::<Lane>().is_err());
}
