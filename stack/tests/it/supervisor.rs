//! The supervisor with parts made of shell scripts.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Checkout, alive, kill_9, script, until};
use catraca_stack::life::DEATHS_MAX;
use catraca_stack::lock::RunLock;
use catraca_stack::ports::Ports;
use catraca_stack::secrets::Secrets;
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::test]
async fn a_killed_part_comes_back_at_once_as_another_process() {
    let checkout = Checkout::new();
    let mut supervisor = checkout.supervisor();
    supervisor
        .start(script("part", "exec sleep 1000"))
        .await
        .unwrap();
    let before = supervisor.pids()["part"];
    let killed = Instant::now();
    kill_9(before);
    while supervisor
        .pids()
        .get("part")
        .is_none_or(|pid| *pid == before)
    {
        supervisor.change().await.unwrap();
    }
    assert!(
        killed.elapsed() < Duration::from_secs(5),
        "took {:?}",
        killed.elapsed()
    );
    assert!(supervisor.all_ready());
    supervisor.stop().await;
}

#[tokio::test]
async fn a_part_that_keeps_dying_ends_the_run() {
    let checkout = Checkout::new();
    let mut supervisor = checkout.supervisor();
    let starting = supervisor
        .start(script("part", "echo started; exit 3"))
        .await;
    assert!(starting.unwrap_err().to_string().contains("part"));
    assert!(supervisor.change().await.is_err());
    supervisor.stop().await;
    assert_eq!(checkout.log("part").lines().count(), DEATHS_MAX);
}

#[tokio::test]
async fn five_deaths_after_a_good_start_end_the_run_too() {
    let checkout = Checkout::new();
    let mut supervisor = checkout.supervisor();
    supervisor
        .start(script("part", "echo started; exec sleep 1000"))
        .await
        .unwrap();
    let mut last = 0;
    let ended = loop {
        if let Some(pid) = supervisor
            .pids()
            .get("part")
            .copied()
            .filter(|pid| *pid != last)
        {
            last = pid;
            kill_9(pid);
        }
        if let Err(error) = supervisor.change().await {
            break error;
        }
    };
    assert!(ended.to_string().contains("part keeps dying"), "{ended}");
    supervisor.stop().await;
    assert_eq!(checkout.log("part").lines().count(), DEATHS_MAX);
}

#[tokio::test]
async fn stopping_goes_backwards_and_leaves_nothing() {
    let checkout = Checkout::new();
    let mut supervisor = checkout.supervisor();
    let order = checkout.layout.local.join("order");
    for name in ["first", "second"] {
        let text = format!(
            "trap 'echo {name} >> {}; exit 0' TERM; sleep 1000 & echo $!; wait",
            order.display()
        );
        supervisor.start(script(name, &text)).await.unwrap();
    }
    let mut pids: Vec<i32> = supervisor.pids().into_values().collect();
    for name in ["first", "second"] {
        pids.push(checkout.log(name).trim().parse().unwrap());
    }
    assert!(pids.iter().all(|pid| alive(*pid)));
    supervisor.stop().await;
    assert_eq!(std::fs::read_to_string(order).unwrap(), "second\nfirst\n");
    until("all gone", || !pids.iter().any(|pid| alive(*pid))).await;
}

#[tokio::test]
async fn whoever_ignores_the_request_to_stop_is_killed() {
    let checkout = Checkout::new();
    let mut supervisor = checkout.supervisor();
    let mut part = script("part", "trap '' TERM; while :; do sleep 0.1; done");
    part.stop_within = Duration::from_millis(300);
    supervisor.start(part).await.unwrap();
    let pid = supervisor.pids()["part"];
    supervisor.stop().await;
    assert!(!alive(pid));
}

#[tokio::test]
async fn stopping_in_the_middle_of_a_start_leaves_nothing() {
    let checkout = Checkout::new();
    let mut supervisor = checkout.supervisor();
    let mut part = script("part", "echo $$; exec sleep 1000");
    part.ready = catraca_stack::probe::Probe::AnyHttp {
        address: "127.0.0.1:1".to_owned(),
    };
    let waited = tokio::time::timeout(Duration::from_millis(500), supervisor.start(part)).await;
    assert!(waited.is_err(), "nothing listens there");
    let pid = checkout.log("part").trim().parse().unwrap();
    assert!(alive(pid));
    supervisor.stop().await;
    assert!(!alive(pid));
}

#[tokio::test]
async fn parts_die_with_the_stack_even_when_it_is_killed() {
    let launcher = env!("CARGO_BIN_EXE_catraca-stack");
    let text =
        format!("{launcher} launch --parent=$$ -- /bin/sh -c 'echo $$; exec sleep 1000' & wait");
    let mut parent = tokio::process::Command::new("/bin/sh")
        .args(["-c", &text])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pid: i32 = lines.next_line().await.unwrap().unwrap().parse().unwrap();
    assert!(alive(pid));
    parent.kill().await.unwrap();
    until("the part is gone", || !alive(pid)).await;
}

#[test]
fn one_run_at_a_time() {
    let checkout = Checkout::new();
    let file = checkout.layout.local.join("stack.lock");
    let first = RunLock::take(&file).unwrap();
    let refused = RunLock::take(&file).unwrap_err().to_string();
    assert!(
        refused.contains(&std::process::id().to_string()),
        "{refused}"
    );
    drop(first);
    RunLock::take(&file).unwrap();
}

#[tokio::test]
async fn ports_are_remembered_while_they_are_free() {
    let checkout = Checkout::new();
    let file = checkout.layout.local.join("ports.json");
    let names = ["core", "redis"];
    let first = Ports::choose(&names, &file, |_| None).await.unwrap();
    let (core, redis) = (first.address("core"), first.address("redis"));
    drop(first);
    let again = Ports::choose(&names, &file, |_| None).await.unwrap();
    assert_eq!(core, again.address("core"));
    let taken = again.port("core").to_string();
    drop(again);
    let squatter = std::net::TcpListener::bind(&core).unwrap();
    let third = Ports::choose(&names, &file, |_| None).await.unwrap();
    assert_ne!(core, third.address("core"));
    assert_eq!(redis, third.address("redis"));
    let wanted = Ports::choose(&names, &file, |variable| {
        (variable == "CATRACA_CORE_PORT").then(|| taken.clone())
    });
    assert!(wanted.await.unwrap_err().to_string().contains("in use"));
    drop(squatter);
}

#[tokio::test]
async fn a_port_that_another_run_has_chosen_but_not_bound_yet_is_not_chosen() {
    let (one, other) = (Checkout::new(), Checkout::new());
    let names = ["core", "redis"];
    let first = Ports::choose(&names, &one.layout.local.join("ports.json"), |_| None)
        .await
        .unwrap();
    let file = other.layout.local.join("ports.json");
    std::fs::copy(one.layout.local.join("ports.json"), &file).unwrap();
    let second = Ports::choose(&names, &file, |_| None).await.unwrap();
    assert_ne!(first.address("core"), second.address("core"));
    assert_ne!(first.address("redis"), second.address("redis"));
}

#[test]
fn secrets_are_made_once_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let checkout = Checkout::new();
    let file = checkout.layout.local.join("secrets.json");
    let made = Secrets::load_or_make(&file).unwrap();
    let read = Secrets::load_or_make(&file).unwrap();
    assert_eq!(made.get("edge_secret"), read.get("edge_secret"));
    assert_eq!(made.get("ticket_key").len(), 43, "32 bytes in base64url");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!format!("{made:?}").contains(made.get("edge_secret")));
}
