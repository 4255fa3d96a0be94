//! Money goes out as text and comes back the same.

use catraca_domain::money::{AMOUNT_MINOR_MAX, Currency, Money, MoneyError};
use proptest::prelude::*;

fn currency() -> impl Strategy<Value = Currency> {
    prop_oneof![
        Just("BRL"),
        Just("EUR"),
        Just("JPY"),
        Just("KWD"),
        Just("CLP"),
        Just("USD")
    ]
    .prop_filter_map("a currency", |code| code.parse().ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn decimals_read_back(amount in -AMOUNT_MINOR_MAX..=AMOUNT_MINOR_MAX, currency in currency()) {
        let money = Money::new(amount, currency).unwrap();
        prop_assert_eq!(Money::from_decimal(&money.to_decimal(), currency), Ok(money));
    }

    #[test]
    fn json_reads_back(amount in -AMOUNT_MINOR_MAX..=AMOUNT_MINOR_MAX, currency in currency()) {
        let money = Money::new(amount, currency).unwrap();
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,24}", currency in currency()) {
        if let Ok(money) = Money::from_decimal(&text, currency) {
            prop_assert_eq!(Money::from_decimal(&money.to_decimal(), currency), Ok(money));
        }
    }

    #[test]
    fn sums_stay_exact_or_are_refused(
        a in -AMOUNT_MINOR_MAX..=AMOUNT_MINOR_MAX,
        b in -AMOUNT_MINOR_MAX..=AMOUNT_MINOR_MAX,
        currency in currency(),
    ) {
        let sum = Money::new(a, currency).unwrap().plus(Money::new(b, currency).unwrap());
        match sum {
            Ok(sum) => prop_assert_eq!(sum.amount_minor, a + b),
            Err(error) => {
                prop_assert_eq!(error, MoneyError::Range);
                prop_assert!((a + b).abs() > AMOUNT_MINOR_MAX);
            }
        }
    }
}

#[test]
fn decimals_are_the_currency_s() {
    let brl: Currency = "BRL".parse().unwrap();
    let yen: Currency = "JPY".parse().unwrap();
    let dinar: Currency = "KWD".parse().unwrap();
    assert_eq!(Money::new(12_500, brl).unwrap().to_decimal(), "125.00");
    assert_eq!(Money::new(5, brl).unwrap().to_decimal(), "0.05");
    assert_eq!(Money::new(-5, brl).unwrap().to_decimal(), "-0.05");
    assert_eq!(Money::new(125, yen).unwrap().to_decimal(), "125");
    assert_eq!(Money::new(1, dinar).unwrap().to_decimal(), "0.001");
    assert_eq!(Money::from_decimal("125", brl), Money::new(12_500, brl));
    for bad in [
        "", ".", "1.234", "1e3", "+1", "1,00", " 1", "--1", "0x10", "NaN",
    ] {
        assert_eq!(
            Money::from_decimal(bad, brl),
            Err(MoneyError::Decimal),
            "{bad:?}"
        );
    }
    assert_eq!(
        Money::from_decimal("99999999999999999999", brl),
        Err(MoneyError::Range)
    );
}

#[test]
fn currencies_are_three_capital_letters() {
    for bad in ["", "BR", "BRLX", "brl", "B1L", "R$ ", "ÄÖÜ"] {
        assert!(bad.parse::<Currency>().is_err(), "{bad:?}");
    }
    let mixed = Money::new(1, "BRL".parse().unwrap()).unwrap();
    let other = Money::new(1, "USD".parse().unwrap()).unwrap();
    assert_eq!(mixed.plus(other), Err(MoneyError::Mixed));
}
