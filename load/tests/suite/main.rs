//! The crowd against a stub of the product, the auditor against databases broken on purpose.

mod audit;
mod breaks;
mod crowd;
mod database;
mod product;
mod venues;
