//! Many holds in one transaction: places of one section, for one request each of as many shoppers
//! as were in line.
//!
//! Who asks is looked at, and locked, in one go ([`look`]). Places without numbers are locked with
//! them; numbered seats are chosen by the rule ([`catraca_domain::seating`]) out of all that are
//! open, one batch of a section at a time, and locked then. Each request is decided in the order of
//! arrival, all or nothing for itself, and all that was granted is written together.
//!
//! Locks that somebody else has are passed by, never waited for, so a batch is in nobody's way: a
//! request whose key, session or buyer is locked elsewhere goes alone, and so does one whose places
//! somebody else is claiming at this moment. "Sold out" is said only when too few places are left
//! even with all those counted.

use super::batch_sql::{self as sql, Place};
use super::limit::{Terms, seats_of_many};
use super::line::Verdict;
use super::sale::GrantedSeat;
use super::take::{retire, sold_out};
use super::view::HoldView;
use crate::admission::Shopper;
use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use crate::http::idempotency::{self, Once, Reply};
use axum::http::StatusCode;
use catraca_domain::ids::{AccountId, EventNumber, HoldId, Jti};
use catraca_domain::money::Money;
use catraca_domain::reservation::HoldState;
use catraca_domain::seating::Seating;
use deadpool_postgres::{Object, Transaction};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// So many places of a section, for somebody.
#[derive(Clone)]
pub struct Asked {
    pub(super) shopper: Shopper,
    pub(super) section: String,
    pub(super) quantity: usize,
    pub(super) once: Once<'static>,
}

/// What there was, by request or by whom it is about.
struct Looks {
    terms: Terms,
    expires_at: OffsetDateTime,
    /// Requests whose key nobody else is using.
    keys: HashSet<usize>,
    replies: HashMap<usize, Result<Reply, ApiError>>,
    sessions: HashMap<Jti, AccountId>,
    buyers: HashSet<AccountId>,
    /// Seats that each buyer has.
    has: HashMap<AccountId, i64>,
}

/// Where places come from.
enum Stock<'a> {
    /// Any of these, which are locked; and how many are left in all, where these are too few.
    Any {
        places: Vec<Place>,
        left: Option<usize>,
    },
    /// The best by the rule, of those that are open.
    Best {
        seating: &'a Seating,
        open: Vec<bool>,
    },
}

/// What a stock gives.
enum Given {
    Places(Vec<Place>),
    /// These, once they are locked.
    Chosen(Vec<i32>),
    /// There are not so many.
    SoldOut,
    /// Only waiting can tell.
    Unknown,
}

/// A hold that is granted, and its request.
struct Granted<'a> {
    asked: &'a Asked,
    hold: HoldId,
    total: Money,
    seats: Vec<GrantedSeat>,
    body: Value,
}

/// A verdict for each, in the order of `asked`; all of one event and section.
///
/// # Errors
/// The database's; nothing was changed then.
pub(super) async fn hold(
    app: &App,
    db: &mut Object,
    asked: &[&Asked],
) -> Result<Vec<Verdict>, ApiError> {
    let Some(first) = asked.first() else {
        return Ok(Vec::new());
    };
    let event = first.shopper.event;
    let tx = db.transaction().await?;
    let wanted = asked.iter().map(|one| one.quantity).sum();
    let (mut looks, free) = look(&tx, event, &first.section, wanted, asked).await?;
    let version = looks.terms.version;
    let plan = app.plans.of(&tx, event, version, &first.section).await?;
    let mut stock = match plan.as_ref().map(|plan| plan.seating.as_ref()) {
        // The long way says what is wrong.
        None => return Ok(asked.iter().map(|_| Verdict::Alone).collect()),
        Some(None) => any(&tx, event, &first.section, wanted, free).await?,
        Some(Some(seating)) => best(&tx, event, &first.section, seating).await?,
    };
    let mut answers: Vec<Result<Given, Verdict>> = Vec::with_capacity(asked.len());
    for (index, one) in asked.iter().enumerate() {
        answers.push(decide(&mut looks, &mut stock, index, one));
    }
    lock_chosen(&tx, event, &first.section, &mut answers).await?;
    let (mut verdicts, mut granted, mut expired) = (Vec::new(), Vec::new(), Vec::new());
    for (one, answer) in asked.iter().zip(answers) {
        verdicts.push(match answer {
            Err(verdict) => verdict,
            Ok(Given::Places(places)) => {
                expired.extend(places.iter().filter_map(|place| place.expired_hold));
                let hold = grant(&looks, one, places)?;
                let reply = (StatusCode::CREATED, hold.body.clone());
                granted.push(hold);
                Verdict::Decided(Ok(reply))
            }
            Ok(Given::SoldOut) => Verdict::Decided(Err(sold_out())),
            Ok(Given::Chosen(_) | Given::Unknown) => Verdict::Alone,
        });
    }
    if granted.is_empty() {
        return Ok(verdicts);
    }
    write(&tx, event, &granted, looks.expires_at).await?;
    retire(&tx, event, &expired).await?;
    tx.commit().await?;
    for one in &granted {
        app.catalogue.hold_changed(app, event, one.hold);
    }
    Ok(verdicts)
}

/// One round trip: the statements follow each other without waiting for answers, and each sees
/// what was committed before the locks that the ones before it took.
async fn look(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
    wanted: usize,
    asked: &[&Asked],
) -> Result<(Looks, Vec<Place>), ApiError> {
    let keys: Vec<_> = asked.iter().map(|one| &one.once).collect();
    let jtis: Vec<Uuid> = asked.iter().map(|one| one.shopper.jti.0).collect();
    let mut buyers: Vec<Uuid> = asked.iter().map(|one| one.shopper.account.id.0).collect();
    // In order, so that two batches adding the same new buyers can't wait for each other.
    buyers.sort_unstable();
    buyers.dedup();
    sql::prepare(tx).await?;
    let (keys, replies, sessions, locked, (terms, expires_at), has, free) = futures::try_join!(
        idempotency::try_lock(tx, &keys),
        idempotency::replies(tx, &keys),
        sql::sessions(tx, event, &jtis),
        sql::buyers(tx, event, &buyers),
        sql::terms(tx, event),
        seats_of_many(tx, event.0, &buyers),
        sql::free(tx, event, section, wanted),
    )?;
    let looks = Looks {
        terms,
        expires_at,
        keys,
        replies,
        sessions,
        buyers: locked,
        has,
    };
    Ok((looks, free))
}

/// Places without numbers: beyond those found free behind a spread start, those before it, and
/// those of holds that are over.
async fn any<'a>(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
    wanted: usize,
    mut places: Vec<Place>,
) -> Result<Stock<'a>, ApiError> {
    if places.len() < wanted {
        let missing = wanted - places.len();
        places.extend(sql::free_from_the_first(tx, event, section, &places, missing).await?);
    }
    if places.len() < wanted {
        places.extend(sql::expired(tx, event, section, wanted - places.len()).await?);
    }
    let left = if places.len() < wanted {
        Some(sql::left(tx, event, section).await?)
    } else {
        None
    };
    // The first are taken off the end.
    places.reverse();
    Ok(Stock::Any { places, left })
}

/// Numbered seats: one batch of a section after the other, so that each sees what the one before
/// it took.
async fn best<'a>(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
    seating: &'a Seating,
) -> Result<Stock<'a>, ApiError> {
    sql::lock_section(tx, event, section).await?;
    let open = sql::open(tx, event, section, seating).await?;
    Ok(Stock::Best { seating, open })
}

/// One request's verdict, or what it is given. The order of the questions is that of a request that
/// goes alone.
fn decide(
    looks: &mut Looks,
    stock: &mut Stock<'_>,
    index: usize,
    one: &Asked,
) -> Result<Given, Verdict> {
    let account = one.shopper.account.id;
    if !looks.keys.contains(&index) {
        return Err(Verdict::Alone);
    }
    if let Some(reply) = looks.replies.remove(&index) {
        return Err(Verdict::Decided(reply));
    }
    let session = looks.sessions.get(&one.shopper.jti) == Some(&account);
    // A buyer's second request may depend on what becomes of the first.
    if !session || !looks.buyers.remove(&account) {
        return Err(Verdict::Alone);
    }
    let has = looks.has.get(&account).copied().unwrap_or_default();
    if let Err(refused) = looks.terms.allows(has, one.quantity) {
        return Err(Verdict::Decided(Err(refused)));
    }
    Ok(stock.give(one.quantity))
}

impl Stock<'_> {
    fn give(&mut self, quantity: usize) -> Given {
        match self {
            Self::Any { places, left } => {
                let taken = match places.len().checked_sub(quantity) {
                    Some(rest) => places.split_off(rest),
                    None if left.is_some_and(|left| left < quantity) => return Given::SoldOut,
                    None => return Given::Unknown,
                };
                if let Some(left) = left {
                    *left = left.saturating_sub(quantity);
                }
                Given::Places(taken)
            }
            Self::Best { seating, open } => {
                let Some(seats) = seating.best(open, quantity) else {
                    return Given::SoldOut;
                };
                for seat in &seats {
                    if let Some(open) = open.get_mut(*seat) {
                        *open = false;
                    }
                }
                let ordinals = seats
                    .into_iter()
                    .filter_map(|seat| i32::try_from(seat).ok());
                Given::Chosen(ordinals.collect())
            }
        }
    }
}

/// Locks the chosen seats, as far as nobody else has them; whoever misses one has none.
async fn lock_chosen(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
    answers: &mut [Result<Given, Verdict>],
) -> Result<(), ApiError> {
    let mut chosen: Vec<i32> = Vec::new();
    for answer in answers.iter() {
        if let Ok(Given::Chosen(ordinals)) = answer {
            chosen.extend(ordinals);
        }
    }
    if chosen.is_empty() {
        return Ok(());
    }
    let places = sql::these(tx, event, section, &chosen).await?;
    let mut places: HashMap<i32, Place> = places
        .into_iter()
        .map(|place| (place.ordinal, place))
        .collect();
    for answer in answers {
        if let Ok(given) = answer
            && let Given::Chosen(ordinals) = given
            && ordinals.iter().all(|ordinal| places.contains_key(ordinal))
        {
            let taken = ordinals.iter().filter_map(|ordinal| places.remove(ordinal));
            *given = Given::Places(taken.collect());
        }
    }
    Ok(())
}

fn grant<'a>(looks: &Looks, one: &'a Asked, places: Vec<Place>) -> Result<Granted<'a>, ApiError> {
    let money = |error| ApiError::internal(format!("the sum of a hold: {error}"));
    let mut total = Money::new(0, looks.terms.currency).map_err(money)?;
    let mut seats = Vec::with_capacity(places.len());
    for place in places {
        let price = Money::new(place.price_minor, looks.terms.currency).map_err(money)?;
        total = total.plus(price).map_err(money)?;
        seats.push(GrantedSeat {
            section: one.section.clone(),
            row: place.row,
            seat: place.seat,
            ordinal: place.ordinal,
            price_minor: place.price_minor,
        });
    }
    seats.sort_unstable_by_key(|seat| seat.ordinal);
    let hold = HoldId(one.shopper.event.scoped_id(rand::random()));
    let view = HoldView {
        hold,
        event: one.shopper.slug.clone(),
        state: HoldState::Active,
        seats: seats.iter().cloned().map(Into::into).collect(),
        total,
        expires_at: looks.expires_at,
    };
    Ok(Granted {
        asked: one,
        hold,
        total,
        seats,
        body: json!(view),
    })
}

/// The seats, the holds and the replies of all that was granted, in one round trip.
async fn write(
    tx: &Transaction<'_>,
    event: EventNumber,
    granted: &[Granted<'_>],
    expires_at: OffsetDateTime,
) -> Result<(), ApiError> {
    let rows: Vec<sql::HoldRow> = granted
        .iter()
        .map(|one| sql::HoldRow {
            hold: one.hold.0,
            jti: one.asked.shopper.jti.0,
            account: one.asked.shopper.account.id.0,
            amount_minor: one.total.amount_minor,
            seats: json!(one.seats),
            section: &one.asked.section,
            ordinals: one.seats.iter().map(|seat| seat.ordinal).collect(),
        })
        .collect();
    let kept: Vec<_> = granted
        .iter()
        .map(|one| (&one.asked.once, &one.body))
        .collect();
    let seats: usize = granted.iter().map(|one| one.seats.len()).sum();
    let (held, made, kept) = futures::try_join!(
        sql::allocate(tx, event, &rows, expires_at),
        sql::make_holds(tx, event, &rows, expires_at),
        idempotency::keep_all(tx, StatusCode::CREATED, &kept),
    )?;
    expect_rows(held, seats as u64, "seats held together")?;
    expect_rows(made, granted.len() as u64, "holds made together")?;
    expect_rows(kept, granted.len() as u64, "replies kept together")
}
