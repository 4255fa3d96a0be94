//! Runs every part of Catraca on this machine and keeps it running.
//!
//! In the order of a run: [`lock`] makes sure it is the only one in this checkout, [`ports`] and
//! [`secrets`] are chosen once and remembered, [`parts`] says how each part is started,
//! [`supervisor`] starts them, names and restarts those that die, and stops them in reverse,
//! [`runfile`] tells other programs where they are, [`demo`] puts a crowd on top.

pub mod demo;
pub mod job;
pub mod launch;
pub mod layout;
pub mod life;
pub mod lock;
pub mod logfile;
pub mod part;
pub mod parts;
pub mod ports;
pub mod probe;
pub mod processes;
pub mod report;
pub mod runfile;
pub mod secrets;
pub mod supervisor;
pub mod up;
