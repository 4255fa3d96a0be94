//! Which rooms there are, in isolate memory: a made-up name is turned away at the door.

use crate::client::ask_directory;
use crate::contract::AskRooms;
use crate::runtime::now_ms;
use crate::visit::Visit;
use catraca_domain::ids::RoomName;
use std::cell::RefCell;
use std::collections::HashSet;

/// How long the list is taken to be complete, in milliseconds. Rooms are never taken off it.
const COMPLETE_MS: u64 = 1_000;

#[derive(Default)]
struct List {
    rooms: HashSet<RoomName>,
    at_ms: u64,
}

thread_local!(static LIST: RefCell<List> = RefCell::default());

/// Whether there may be such a room. When the list can't be had, there may.
pub(crate) async fn may_exist(visit: &Visit, room: &RoomName) -> bool {
    let (listed, complete) = LIST.with_borrow(|list| {
        let complete = visit.now_ms.abs_diff(list.at_ms) < COMPLETE_MS;
        (list.rooms.contains(room), complete)
    });
    if listed || complete {
        return listed;
    }
    let Ok(rooms) = ask_directory(&visit.env, &AskRooms {}).await else {
        return true;
    };
    LIST.with_borrow_mut(|list| {
        list.rooms.extend(rooms);
        list.at_ms = now_ms();
        list.rooms.contains(room)
    })
}

/// There is one more.
pub(crate) fn add(room: &RoomName) {
    LIST.with_borrow_mut(|list| list.rooms.insert(room.clone()));
}
