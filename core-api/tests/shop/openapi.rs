use crate::common::Shop;
use crate::common::reply::Reply;
use reqwest::Method;

/// Whatever the document names is answered by a handler, and every schema it refers to is there.
#[tokio::test]
async fn the_document_names_what_there_is() {
    let shop = Shop::open().await;
    let document = shop.get("/api/openapi.json").await;
    assert_eq!(document.status, 200);
    let paths = document.body["paths"].as_object().unwrap();
    assert!(paths.len() > 20);
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let address = path.replace(['{', '}'], "");
            let reply = Reply::of(shop.request(method.clone(), &address)).await;
            let missing = reply.body["detail"] == "No such address.";
            assert!(
                !missing && reply.status != 405,
                "{method} {path}: {reply:?}"
            );
        }
    }
    let text = document.body.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            document.body["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
    shop.close().await;
}
