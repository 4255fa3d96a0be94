//! What the edge is told and what it may reach, in the real workerd.

use crate::common::Checkout;
use catraca_stack::parts::{Plan, edge};

const SITE_KEY: (&str, &str) = ("CATRACA_TURNSTILE_SITE_KEY", "1x00000000000000000000AA");
const SECRET: (&str, &str) = (
    "CATRACA_TURNSTILE_SECRET",
    "1x0000000000000000000000000000000AA",
);
const URL: (&str, &str) = ("CATRACA_TURNSTILE_URL", "http://127.0.0.1:9/siteverify");

/// The configuration with these variables set; workerd has started with it.
async fn configuration(set: &[(&'static str, &str)]) -> String {
    let checkout = Checkout::new();
    let mut plan = Plan::make(checkout.layout.clone()).await.unwrap();
    plan.passed_on = (set.iter())
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    let mut supervisor = checkout.supervisor();
    supervisor.start(edge::part(&plan).unwrap()).await.unwrap();
    supervisor.stop().await;
    std::fs::read_to_string(checkout.layout.local.join("edge/config.capnp")).unwrap()
}

#[tokio::test]
async fn turnstile_reaches_the_worker_when_the_operator_sets_it() {
    let without = configuration(&[]).await;
    assert!(!without.contains("TURNSTILE"), "{without}");
    assert!(!without.contains("public\""), "{without}");

    let with = configuration(&[SITE_KEY, SECRET]).await;
    for (name, value) in [SITE_KEY, SECRET] {
        let binding = format!("(name = \"{name}\", text = \"{value}\")");
        assert!(with.contains(&binding), "{with}");
    }
    assert!(
        with.contains("\"public\""),
        "siteverify is out there: {with}"
    );

    let stand_in = configuration(&[SITE_KEY, SECRET, URL]).await;
    assert!(stand_in.contains(URL.1), "{stand_in}");
    assert!(!stand_in.contains("\"public\""), "{stand_in}");
}
