//! Whatever happens in whatever order, an order comes to rest paid with its seats, or not paid
//! with nothing taken or all of it given back.
//!
//! A small world: a provider, the seats, and a worker that takes the steps. Between any two of the
//! worker's steps the outside does something: the buyer agrees or is declined, the hold runs out,
//! a seat is lost, the provider lets the money go, falls silent, or an operator wants a refund.

use catraca_domain::ledger::{Account, Totals};
use catraca_domain::settlement::{
    OrderStatus, Payment, Seats, Step, Wanted, next_step, next_step_giving_back, next_step_wanting,
};
use std::collections::{HashMap, HashSet, VecDeque};

const ORDERS: [OrderStatus; 6] = [
    OrderStatus::Queued,
    OrderStatus::AwaitingPayment,
    OrderStatus::Paid,
    OrderStatus::Failed,
    OrderStatus::Expired,
    OrderStatus::Refunded,
];
const SEATS: [Seats; 4] = [Seats::Held, Seats::Lapsed, Seats::Gone, Seats::Sold];
const PAYMENTS: [Payment; 9] = [
    Payment::NotStarted,
    Payment::Open,
    Payment::Pending,
    Payment::Approved,
    Payment::Authorised,
    Payment::Captured,
    Payment::Refunded,
    Payment::Dead,
    Payment::Mismatched,
];

/// What the order costs; a part that goes back is 1.
const PRICE: i64 = 3;

/// Whose the seats are, in truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Chairs {
    Ours,
    /// The hold is over; nobody has taken them.
    Free,
    Others,
    Sold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact about the outside world"
)]
struct World {
    order: OrderStatus,
    chairs: Chairs,
    /// The worker tried to take them again and could not.
    known_gone: bool,
    /// What is so at the provider.
    payment: Payment,
    /// What the provider says for now is "still working on it".
    silent: bool,
    tickets: bool,
    refund_wanted: bool,
    /// Parts that are to go back, and those that did.
    parts_wanted: i64,
    /// An operator has ended it after it was quarantined.
    giving_back: bool,
    /// What is entered of it.
    ledger: Totals,
    /// What the provider gave back, of [`PRICE`].
    given_back: i64,
    /// Money taken and given back so far: more than once would be a crime.
    captures: u8,
    refunds: u8,
    /// This provider wants to be asked to set the money aside.
    two_steps: bool,
    /// Authorising or capturing will be refused.
    will_refuse: bool,
}

#[derive(Debug, Clone, Copy)]
enum Outside {
    Agree,
    Decline,
    HoldEnds,
    SeatsTaken,
    Lapse,
    Silence,
    Speak,
    Refund,
    RefundAtDesk,
    Refuse,
    RefundPart,
    PartAtDesk,
    GiveBack,
}

const OUTSIDE: [Outside; 13] = [
    Outside::Agree,
    Outside::Decline,
    Outside::HoldEnds,
    Outside::SeatsTaken,
    Outside::Lapse,
    Outside::Silence,
    Outside::Speak,
    Outside::Refund,
    Outside::RefundAtDesk,
    Outside::Refuse,
    Outside::RefundPart,
    Outside::PartAtDesk,
    Outside::GiveBack,
];

impl World {
    fn new(two_steps: bool) -> Self {
        Self {
            order: OrderStatus::Queued,
            chairs: Chairs::Ours,
            known_gone: false,
            payment: Payment::NotStarted,
            silent: false,
            tickets: false,
            refund_wanted: false,
            parts_wanted: 0,
            giving_back: false,
            ledger: Totals::default(),
            given_back: 0,
            captures: 0,
            refunds: 0,
            two_steps,
            will_refuse: false,
        }
    }

    /// Money and books as they are when an order is what this one is.
    fn with_books(mut self) -> Self {
        let taken = matches!(self.payment, Payment::Captured | Payment::Refunded);
        self.captures = u8::from(taken);
        self.refunds = u8::from(self.payment == Payment::Refunded);
        self.given_back = i64::from(self.refunds) * PRICE;
        if taken {
            self.ledger.captured = PRICE;
        }
        if taken && matches!(self.order, OrderStatus::Paid | OrderStatus::Refunded) {
            self.ledger.issued = PRICE;
        }
        self
    }

    fn seats(&self) -> Seats {
        match self.chairs {
            Chairs::Sold => Seats::Sold,
            _ if self.known_gone => Seats::Gone,
            Chairs::Ours => Seats::Held,
            Chairs::Free | Chairs::Others => Seats::Lapsed,
        }
    }

    fn seen(&self) -> Payment {
        let started = self.payment != Payment::NotStarted;
        if self.silent && started {
            Payment::Pending
        } else {
            self.payment
        }
    }

    fn step(&self) -> Step {
        if self.giving_back {
            return next_step_giving_back(self.order, self.seen());
        }
        let wanted = match (self.parts_wanted, self.refund_wanted) {
            (1.., _) => Wanted::Part,
            (_, true) => Wanted::All,
            _ => Wanted::Nothing,
        };
        next_step_wanting(self.order, self.seats(), self.seen(), wanted)
    }

    /// Enters a change, which must be one that may be entered.
    fn enter(&mut self, after: Totals) {
        let entries = self.ledger.entries_to(&after);
        let entries = entries.unwrap_or_else(|error| panic!("{error}: {self:?} to {after:?}"));
        for entry in entries {
            let total = self.ledger.of_mut(entry.kind);
            *total += entry.amount_minor;
            assert_eq!(*total, entry.total_minor);
        }
        assert_eq!(self.ledger, after);
    }

    /// The worker writes down what the provider says.
    fn note(&mut self) {
        let captured = i64::from(self.captures) * PRICE;
        self.enter(self.ledger.seen(captured, self.given_back));
        if self.order == OrderStatus::Paid && self.payment == Payment::Captured {
            let unasked = self.ledger.given_back_unasked();
            self.enter(self.ledger.revoke(unasked));
        }
    }

    /// The outside acts; `None` when it can't from here.
    fn suffer(mut self, event: Outside) -> Option<Self> {
        match (event, self.payment) {
            (Outside::Agree, Payment::Open) => {
                self.payment = if self.two_steps {
                    Payment::Approved
                } else {
                    Payment::Authorised
                };
            }
            (Outside::Decline, Payment::Open | Payment::Approved)
            | (Outside::Lapse, Payment::Open | Payment::Approved | Payment::Authorised) => {
                self.payment = Payment::Dead;
            }
            (Outside::HoldEnds, _) if self.chairs == Chairs::Ours => self.chairs = Chairs::Free,
            (Outside::SeatsTaken, _) if self.chairs == Chairs::Free => {
                self.chairs = Chairs::Others;
            }
            (Outside::Silence, _) if !self.silent => self.silent = true,
            (Outside::Speak, _) if self.silent => self.silent = false,
            (Outside::Refund, _) if self.order == OrderStatus::Paid && !self.refund_wanted => {
                self.refund_wanted = true;
            }
            (Outside::RefundAtDesk, Payment::Captured) => {
                self.payment = Payment::Refunded;
                self.refunds += 1;
                self.given_back = PRICE;
            }
            // At least 1 must be left to be given back, or it is the whole.
            (Outside::RefundPart, _)
                if self.order == OrderStatus::Paid
                    && !self.refund_wanted
                    && self.ledger.issued - self.ledger.revoked > 1 =>
            {
                self.parts_wanted += 1;
                self.enter(self.ledger.revoke(1));
            }
            (Outside::PartAtDesk, Payment::Captured)
                if self.given_back + self.parts_wanted + 1 < PRICE =>
            {
                self.given_back += 1;
            }
            (Outside::GiveBack, _) if !self.giving_back && !self.order.is_over() => {
                self.giving_back = true;
            }
            (Outside::Refuse, _) if !self.will_refuse => self.will_refuse = true,
            _ => return None,
        }
        Some(self)
    }

    /// The worker takes its step. `None` when it has nothing to do.
    fn work(mut self) -> Option<Self> {
        let before = self;
        if !self.silent {
            self.note();
        }
        match self.step() {
            Step::Start => {
                assert_eq!(self.chairs, Chairs::Ours, "started for nothing: {self:?}");
                self.payment = Payment::Open;
                self.order = OrderStatus::AwaitingPayment;
            }
            Step::Wait | Step::Rest | Step::Quarantine => return (self != before).then_some(self),
            Step::Authorise => {
                assert_eq!(self.payment, Payment::Approved);
                self.payment = if self.will_refuse {
                    Payment::Dead
                } else {
                    Payment::Authorised
                };
            }
            Step::Sell => {
                assert_eq!(self.chairs, Chairs::Ours, "sold what isn't ours: {self:?}");
                self.chairs = Chairs::Sold;
            }
            Step::Retake => match self.chairs {
                Chairs::Ours | Chairs::Free | Chairs::Sold => self.chairs = Chairs::Sold,
                Chairs::Others => self.known_gone = true,
            },
            Step::Capture => {
                assert_eq!(
                    self.chairs,
                    Chairs::Sold,
                    "took money without seats: {self:?}"
                );
                assert_eq!(self.payment, Payment::Authorised);
                if self.will_refuse {
                    self.payment = Payment::Dead;
                } else {
                    self.payment = Payment::Captured;
                    self.captures += 1;
                }
            }
            Step::Void => {
                assert_ne!(self.payment, Payment::Captured);
                self.payment = Payment::Dead;
            }
            Step::Refund => {
                assert_eq!(self.payment, Payment::Captured);
                self.payment = Payment::Refunded;
                self.refunds += 1;
                self.given_back = PRICE;
                self.note();
            }
            Step::RefundPart => {
                assert_eq!(
                    (self.order, self.payment),
                    (OrderStatus::Paid, Payment::Captured)
                );
                self.parts_wanted -= 1;
                self.given_back += 1;
                if self.given_back == PRICE {
                    self.payment = Payment::Refunded;
                }
                self.note();
            }
            Step::FinishPaid => {
                assert_eq!(
                    (self.chairs, self.payment),
                    (Chairs::Sold, Payment::Captured)
                );
                self.tickets = true;
                self.enter(self.ledger.issue());
                self.order = OrderStatus::Paid;
            }
            Step::Close(status) => {
                assert!(status.is_final());
                assert_ne!(
                    self.payment,
                    Payment::Captured,
                    "closed over money: {self:?}"
                );
                self.tickets = false;
                self.enter(self.ledger.revoke_all());
                self.order = status;
                if matches!(self.chairs, Chairs::Sold | Chairs::Ours) {
                    self.chairs = Chairs::Free;
                }
            }
        }
        Some(self)
    }

    /// What must hold at every moment.
    fn check_always(&self) {
        assert!(self.captures <= 1, "charged twice: {self:?}");
        assert!(
            self.refunds <= self.captures && self.given_back <= i64::from(self.captures) * PRICE,
            "gave back more than was taken: {self:?}"
        );
        let accounts = [Account::Provider, Account::Owed, Account::Sales];
        let sum: i64 = accounts
            .map(|account| self.ledger.balance(account))
            .iter()
            .sum();
        assert_eq!(sum, 0, "does not balance: {self:?}");
        let sold = -self.ledger.balance(Account::Sales);
        assert_eq!(sold > 0, self.tickets, "sold, but no tickets: {self:?}");
        if self.tickets {
            assert_eq!(
                self.chairs,
                Chairs::Sold,
                "a ticket without its seat: {self:?}"
            );
        }
    }

    /// What must hold where the worker has nothing more to do.
    fn check_settled(&self) {
        // Whoever has come to rest is owed nothing, and the provider holds what was sold.
        let open = matches!(
            self.order,
            OrderStatus::Queued | OrderStatus::AwaitingPayment
        );
        if !self.silent && !open {
            assert_eq!(self.ledger.balance(Account::Owed), 0, "owed: {self:?}");
            let taken = i64::from(self.captures) * PRICE;
            let held = self.ledger.balance(Account::Provider);
            assert_eq!(held, taken - self.given_back, "{self:?}");
        }
        match self.order {
            OrderStatus::Queued | OrderStatus::AwaitingPayment => {
                assert_eq!(self.step(), Step::Wait, "stuck: {self:?}");
                let for_buyer = self.payment == Payment::Open && self.chairs == Chairs::Ours;
                assert!(self.silent || for_buyer, "waits for nobody: {self:?}");
            }
            OrderStatus::Paid => {
                assert!(
                    self.silent || self.payment == Payment::Captured,
                    "unpaid: {self:?}"
                );
                assert!(
                    self.tickets && self.chairs == Chairs::Sold,
                    "no seats: {self:?}"
                );
                let wanted = self.refund_wanted || self.parts_wanted > 0 || self.giving_back;
                let kept_in_mind = !wanted || self.step() == Step::Wait;
                assert!(kept_in_mind, "refund forgotten: {self:?}");
            }
            OrderStatus::Failed | OrderStatus::Expired | OrderStatus::Refunded => {
                assert!(
                    !self.tickets && self.chairs != Chairs::Sold,
                    "kept seats: {self:?}"
                );
                let owed = i64::from(self.captures) * PRICE > self.given_back;
                assert!(self.silent || !owed, "kept money: {self:?}");
            }
        }
    }
}

#[test]
fn every_combination_has_a_step() {
    for order in ORDERS {
        for seats in SEATS {
            for payment in PAYMENTS {
                let step = next_step(order, seats, payment);
                if let Step::Close(status) = step {
                    assert!(status.is_final(), "{order:?} {seats:?} {payment:?}");
                    assert_ne!(status, order, "closed as what it is: loops forever");
                }
                if matches!(step, Step::Capture) {
                    assert_eq!((seats, payment), (Seats::Sold, Payment::Authorised));
                    assert!(!order.is_final());
                }
                if payment == Payment::Mismatched && order != OrderStatus::Refunded {
                    assert_eq!(step, Step::Quarantine);
                }
                for (wanted, wish) in [
                    (Wanted::Part, Step::RefundPart),
                    (Wanted::All, Step::Refund),
                ] {
                    let wanting = next_step_wanting(order, seats, payment, wanted);
                    if step != wanting {
                        let expected = match payment {
                            Payment::Captured => wish,
                            _ => Step::Wait,
                        };
                        assert_eq!((order, wanting), (OrderStatus::Paid, expected));
                    }
                }
                let giving_back = next_step_giving_back(order, payment);
                if let Step::Close(status) = giving_back {
                    assert!(status.is_over() && !order.is_over());
                }
            }
        }
    }
}

/// Every way the outside may act up to six times, at every moment between the worker's steps.
#[test]
fn every_order_of_up_to_six_events_settles() {
    const EVENTS_MAX: u8 = 6;
    let mut least: HashMap<World, u8> = HashMap::new();
    let mut queue: VecDeque<(World, u8)> = [World::new(false), World::new(true)]
        .map(|world| (world, 0))
        .into();
    let mut ends: HashSet<(OrderStatus, Payment)> = HashSet::new();
    while let Some((world, events)) = queue.pop_front() {
        if least.get(&world).is_some_and(|&before| before <= events) {
            continue;
        }
        least.insert(world, events);
        world.check_always();
        if let Some(next) = world.work() {
            queue.push_back((next, events));
        } else {
            world.check_settled();
            ends.insert((world.order, world.payment));
        }
        if events < EVENTS_MAX {
            let suffered = OUTSIDE.into_iter().filter_map(|event| world.suffer(event));
            queue.extend(suffered.map(|next| (next, events + 1)));
        }
    }
    // The search did go everywhere an order can end.
    for end in [
        (OrderStatus::Paid, Payment::Captured),
        (OrderStatus::Failed, Payment::Dead),
        (OrderStatus::Expired, Payment::Dead),
        (OrderStatus::Expired, Payment::NotStarted),
        (OrderStatus::Refunded, Payment::Refunded),
    ] {
        assert!(ends.contains(&end), "{end:?} was never reached");
    }
    assert!(least.len() > 200, "only {} states seen", least.len());
}

/// The worker never goes round in circles: from every state it stops within a few steps.
#[test]
fn every_state_comes_to_rest() {
    let chairs = [Chairs::Ours, Chairs::Free, Chairs::Others, Chairs::Sold];
    for order in ORDERS {
        for chairs in chairs {
            for payment in PAYMENTS {
                for flags in 0..16_u8 {
                    let flag = |bit: u8| flags & (1 << bit) != 0;
                    let mut world = World {
                        order,
                        chairs,
                        payment,
                        known_gone: flag(0) && chairs == Chairs::Others,
                        refund_wanted: flag(1),
                        will_refuse: flag(2),
                        two_steps: flag(3),
                        ..World::new(false)
                    }
                    .with_books();
                    let mut steps = 0;
                    while let Some(next) = world.work() {
                        world = next;
                        steps += 1;
                        assert!(steps <= 10, "{world:?} does not come to rest");
                    }
                }
            }
        }
    }
}
