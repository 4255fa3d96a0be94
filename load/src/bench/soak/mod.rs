//! Long tries with a short form in `make test`: [`seat`], a crowd on one seat; [`faults`], shoppers
//! among processes that are killed, stopped and emptied by a random schedule.

pub(super) mod faults;
pub(super) mod seat;
