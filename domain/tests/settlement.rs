//! Whatever happens in whatever order, an order comes to rest paid with its seats, or not paid
//! with nothing taken or all of it given back.
//!
//! A small world: a provider, the seats, and a worker that takes the steps. Between any two of the
//! worker's steps the outside does something: the buyer agrees or is declined, the hold runs out,
//! a seat is lost, the provider lets the money go, falls silent, or an operator wants a refund.

use catraca_domain::settlement::{
    OrderStatus, Payment, Seats, Step, next_step, next_step_refunding,
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
}

const OUTSIDE: [Outside; 10] = [
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
            captures: 0,
            refunds: 0,
            two_steps,
            will_refuse: false,
        }
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
        let decide = if self.refund_wanted {
            next_step_refunding
        } else {
            next_step
        };
        decide(self.order, self.seats(), self.seen())
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
            }
            (Outside::Refuse, _) if !self.will_refuse => self.will_refuse = true,
            _ => return None,
        }
        Some(self)
    }

    /// The worker takes its step. `None` when it has nothing to do.
    fn work(mut self) -> Option<Self> {
        match self.step() {
            Step::Start => {
                assert_eq!(self.chairs, Chairs::Ours, "started for nothing: {self:?}");
                self.payment = Payment::Open;
                self.order = OrderStatus::AwaitingPayment;
            }
            Step::Wait | Step::Rest | Step::Quarantine => return None,
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
            }
            Step::FinishPaid => {
                assert_eq!(
                    (self.chairs, self.payment),
                    (Chairs::Sold, Payment::Captured)
                );
                self.tickets = true;
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
            self.refunds <= self.captures,
            "gave back more than was taken: {self:?}"
        );
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
                let kept_in_mind = !self.refund_wanted || self.step() == Step::Wait;
                assert!(kept_in_mind, "refund forgotten: {self:?}");
            }
            OrderStatus::Failed | OrderStatus::Expired | OrderStatus::Refunded => {
                assert!(
                    !self.tickets && self.chairs != Chairs::Sold,
                    "kept seats: {self:?}"
                );
                let owed = self.captures > self.refunds;
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
                let refunding = next_step_refunding(order, seats, payment);
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
                if step != refunding {
                    let expected = match payment {
                        Payment::Captured => Step::Refund,
                        _ => Step::Wait,
                    };
                    assert_eq!((order, refunding), (OrderStatus::Paid, expected));
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
                    };
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
