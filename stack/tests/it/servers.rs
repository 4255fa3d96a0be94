//! The real PostgreSQL, Redis and OpenID provider under the supervisor.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::common::{Checkout, alive, kill_9};
use catraca_stack::parts::{Plan, issuer, postgres, redis};
use catraca_stack::processes::working_in;
use tokio_postgres::{Client, NoTls};

async fn plan(checkout: &Checkout) -> Plan {
    let local = &checkout.layout.local;
    std::fs::set_permissions(local, std::fs::Permissions::from_mode(0o711)).unwrap();
    Plan::make(checkout.layout.clone()).await.unwrap()
}

async fn connect(plan: &Plan) -> Client {
    let (client, connection) = tokio_postgres::connect(&plan.postgres_dsn(), NoTls)
        .await
        .unwrap();
    // It ends with an error when the server is killed, as it should.
    tokio::spawn(connection);
    client
}

fn data(checkout: &Checkout) -> PathBuf {
    checkout.layout.local.join("postgres")
}

#[tokio::test]
async fn postgres_survives_kill_9_with_all_that_was_acknowledged() {
    let checkout = Checkout::new();
    let plan = plan(&checkout).await;
    let mut supervisor = checkout.supervisor();
    supervisor
        .start(postgres::part(&plan).await.unwrap())
        .await
        .unwrap();
    postgres::make_database(&plan).await.unwrap();
    let client = connect(&plan).await;
    client
        .batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        .await
        .unwrap();
    // A session in the middle of something outlives the server, and must be ended before the next.
    let busy = connect(&plan).await;
    let sleeping = tokio::spawn(async move { busy.batch_execute("SELECT pg_sleep(60)").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = supervisor.pids()["postgres"];
    kill_9(before);
    while supervisor
        .pids()
        .get("postgres")
        .is_none_or(|pid| *pid == before)
    {
        supervisor.change().await.unwrap();
    }
    assert!(sleeping.await.unwrap().is_err());
    let row = connect(&plan)
        .await
        .query_one("SELECT count(*) FROM kept", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
    supervisor.stop().await;
    assert!(working_in(&data(&checkout), "postgres").is_empty());
}

#[tokio::test]
async fn postgres_starts_over_the_leftovers_of_a_killed_run() {
    let checkout = Checkout::new();
    let plan = plan(&checkout).await;
    let part = postgres::part(&plan).await.unwrap();
    let mut orphan = part.spawn(&checkout.layout).unwrap();
    catraca_stack::probe::Probe::until_ready(&part.ready).await;
    let pid = i32::try_from(orphan.id().unwrap()).unwrap();
    let mut supervisor = checkout.supervisor();
    supervisor
        .start(postgres::part(&plan).await.unwrap())
        .await
        .unwrap();
    assert!(!alive(pid));
    assert_ne!(supervisor.pids()["postgres"], pid);
    orphan.wait().await.unwrap();
    supervisor.stop().await;
}

#[tokio::test]
async fn redis_keeps_its_data_and_asks_for_the_password() {
    let checkout = Checkout::new();
    let plan = plan(&checkout).await;
    let mut supervisor = checkout.supervisor();
    supervisor.start(redis::part(&plan).unwrap()).await.unwrap();
    let wrong = catraca_stack::probe::Probe::Redis {
        address: plan.ports.address("redis"),
        password: "wrong".to_owned(),
    };
    assert!(wrong.ask().await.is_err());
    let pid = supervisor.pids()["redis"];
    supervisor.stop().await;
    assert!(!alive(pid));
    assert!(checkout.layout.local.join("redis/appendonlydir").is_dir());
}

#[tokio::test]
async fn the_issuer_comes_back_with_the_same_keys() {
    let checkout = Checkout::new();
    let plan = plan(&checkout).await;
    let mut supervisor = checkout.supervisor();
    supervisor
        .start(issuer::part(&plan).unwrap())
        .await
        .unwrap();
    let keys = || std::fs::read(checkout.layout.local.join("issuer/keys.json")).unwrap();
    let (first_keys, first) = (keys(), supervisor.pids()["issuer"]);
    kill_9(first);
    while supervisor
        .pids()
        .get("issuer")
        .is_none_or(|pid| *pid == first)
    {
        supervisor.change().await.unwrap();
    }
    assert_eq!(first_keys, keys());
    supervisor.stop().await;
}
