//! What the product is measured against, where that is a program of our own.

pub(crate) mod counter;
