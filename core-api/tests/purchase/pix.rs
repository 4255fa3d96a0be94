//! Pix: paid from the shop's own page, some time later.

use super::support::Shop;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_shows_the_code_until_it_is_paid() {
    let shop = Shop::open().await;
    shop.work();
    let (ana, bia) = (shop.buyer("ana").await, shop.buyer("bia").await);
    let hold = shop.hold(&ana, &[0, 1]).await;
    let order = shop.order(&ana, hold, "pix").await;
    let view = shop.until(&ana, order, "awaiting_payment").await;
    let shown = &view["next_action"]["display"];
    assert_eq!(shown["kind"], "qr_code");
    let code = shown["data"].as_str().unwrap();
    assert!(code.contains("BRL 250.00"), "{code}");
    assert!(shown["expires_at"].as_str().unwrap().ends_with('Z'));
    let drawn = format!("/api/v1/orders/{order}/pay.svg");
    let svg = shop.get(&ana, &drawn).await;
    assert_eq!(
        (svg.status, svg.content_type.as_str()),
        (200, "image/svg+xml")
    );
    shop.get(&bia, &drawn)
        .await
        .assert_problem(404, "order_not_found");

    let page = view["next_action"]["redirect_url"].as_str().unwrap();
    shop.choose(page, "approve", 0).await;
    let paid = shop.until(&ana, order, "paid").await;
    assert_eq!(paid["next_action"], json!(null));
    assert_eq!(paid["tickets"].as_array().unwrap().len(), 2);
    shop.get(&ana, &drawn)
        .await
        .assert_problem(404, "not_found");

    // What is paid on the provider's page has nothing to show here.
    let hold = shop.hold(&bia, &[2]).await;
    let order = shop.order(&bia, hold, "card").await;
    let view = shop.until(&bia, order, "awaiting_payment").await;
    assert_eq!(view["next_action"]["display"], json!(null));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_providers_that_take_the_currency_are_offered_and_accepted() {
    let shop = Shop::open().await;
    let ana = shop.buyer("ana").await;
    let offered = async |query: &str| {
        let path = format!("/api/v1/payment-providers{query}");
        shop.get(&ana, &path).await.body["providers"].clone()
    };
    assert_eq!(offered("").await, json!(["card", "paypal", "pix"]));
    assert_eq!(
        offered("?currency=BRL").await,
        json!(["card", "paypal", "pix"])
    );
    assert_eq!(offered("?currency=EUR").await, json!(["card", "paypal"]));
    shop.get(&ana, "/api/v1/payment-providers?currency=euro")
        .await
        .assert_problem(422, "invalid_field");
    let db = shop.db().await;
    db.execute("UPDATE events SET currency = 'EUR'", &[])
        .await
        .unwrap();
    drop(db);
    let hold = shop.hold(&ana, &[0]).await;
    let body = json!({ "hold": hold, "provider": "pix" });
    let refused = shop.post(&ana, "/api/v1/orders", "k", &body).await;
    refused.assert_problem(422, "invalid_field");
    let reason = refused.body["errors"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("card, paypal: it does not take EUR"),
        "{reason}"
    );
    shop.order(&ana, hold, "card").await;
    shop.close().await;
}
