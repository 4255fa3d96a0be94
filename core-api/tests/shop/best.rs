//! Quantities on numbered seats: the rule, through HTTP and PostgreSQL.

use crate::common::Shop;
use catraca_domain::seating::{Seat, Seating};
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fs;

const SECTION: &str = "Plateia";

/// One section of the theatre that the load tool sells.
struct Theatre {
    csv: String,
    seating: Seating,
    /// Index of a seat by its row and number.
    index: HashMap<(String, String), usize>,
}

impl Theatre {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../load/venues/teatro.csv");
        let text = fs::read_to_string(path).unwrap();
        let header = text.lines().next().unwrap();
        let prefix = format!("{SECTION},");
        let lines: Vec<&str> = text.lines().filter(|l| l.starts_with(&prefix)).collect();
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        let rows: Vec<Vec<String>> = lines.iter().map(|line| cells(line)).collect();
        let seats: Vec<Seat> = rows
            .iter()
            .map(|row| Seat {
                row: row[2].clone(),
                position: Some((row[6].parse().unwrap(), row[7].parse().unwrap())),
            })
            .collect();
        let index = rows.iter().enumerate();
        Self {
            csv: format!("{header}\n{}\n", lines.join("\n")),
            seating: Seating::new(&seats),
            index: index
                .map(|(n, row)| ((row[2].clone(), row[3].clone()), n))
                .collect(),
        }
    }

    fn seats(&self, body: &Value) -> Vec<usize> {
        let seats = body["seats"].as_array().unwrap().iter();
        let label = |seat: &Value, part: &str| seat[part].as_str().unwrap().to_owned();
        let mut seats: Vec<usize> = seats
            .map(|seat| self.index[&(label(seat, "row"), label(seat, "seat"))])
            .collect();
        seats.sort_unstable();
        seats
    }
}

/// One sale after the other, some released, until nothing is left: each is what the rule says of
/// the seats that are open then.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_section_is_sold_by_the_rule() {
    let theatre = Theatre::read();
    let shop = Shop::open().await;
    shop.event("hamlet", 8, 300, &theatre.csv).await;
    let mut open = vec![true; theatre.seating.len()];
    let mut last: Option<(crate::common::people::Person, String, Vec<usize>)> = None;
    for sale in 0_usize.. {
        // Looks random, and is the same on every run.
        let quantity = 1 + sale * 7919 % 97 % 8;
        let quantity = quantity.min(open.iter().filter(|open| **open).count());
        if quantity == 0 {
            break;
        }
        let buyer = shop.shopper("hamlet").await;
        let body = json!({"event": "hamlet", "section": SECTION, "quantity": quantity});
        let reply = shop.hold(&buyer, "k", &body).await;
        assert_eq!(reply.status, 201, "sale {sale}: {}", reply.body);
        let seats = theatre.seats(&reply.body);
        let best = theatre.seating.best(&open, quantity).unwrap();
        assert_eq!(seats, best, "sale {sale} of {quantity}");
        for seat in &seats {
            open[*seat] = false;
        }
        if sale % 9 == 8
            && let Some((buyer, hold, seats)) = last.take()
        {
            let path = format!("/api/v1/holds/{hold}");
            let released = shop
                .send(&buyer, reqwest::Method::DELETE, &path, None)
                .await;
            assert_eq!(released.status, 204);
            for seat in seats {
                open[seat] = true;
            }
        }
        last = Some((
            buyer,
            reply.body["hold"].as_str().unwrap().to_owned(),
            seats,
        ));
    }
    let buyer = shop.shopper("hamlet").await;
    let one = json!({"event": "hamlet", "section": SECTION, "quantity": 1});
    let reply = shop.hold(&buyer, "k", &one).await;
    reply.assert_problem(409, "sold_out");
    shop.close().await;
}

/// A crowd at once, on two servers: nobody sits on another's lap, everybody sits together, and
/// nothing is refused while there is enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_seated_at_once() {
    let theatre = Theatre::read();
    let shop = Shop::open().await;
    let (_other, address) = shop.another().await;
    shop.event("hamlet", 8, 300, &theatre.csv).await;
    let buyers = join_all((0..100).map(|_| shop.shopper("hamlet"))).await;
    let wishes = buyers.iter().enumerate().map(|(index, buyer)| {
        let body = json!({"event": "hamlet", "section": SECTION, "quantity": 1 + index % 4});
        let core = if index % 2 == 0 { &shop.core } else { &address };
        let request = shop.http.post(format!("{core}/api/v1/holds"));
        let request = request
            .header("cookie", &buyer.cookies)
            .header("idempotency-key", "k");
        crate::common::reply::Reply::of(request.json(&body))
    });
    let replies = join_all(wishes).await;
    let mut taken = HashSet::new();
    let mut open = vec![true; theatre.seating.len()];
    for reply in &replies {
        assert_eq!(reply.status, 201, "{}", reply.body);
        let seats = theatre.seats(&reply.body);
        let in_a_row = seats.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        assert!(in_a_row, "apart, with plenty left: {}", reply.body["seats"]);
        for seat in seats {
            assert!(taken.insert(seat), "given twice: {seat}");
            open[seat] = false;
        }
    }
    assert_eq!(taken.len(), 250);
    assert_eq!(
        theatre.seating.singles(&open),
        0,
        "somebody would sit alone"
    );
    shop.close().await;
}
