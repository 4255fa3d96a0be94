//! The ticket-selling core.
//!
//! The folders read as the flow of a sale: [`admission`] → [`login`] → [`catalogue`] → [`holds`]
//! → [`orders`] → [`purchase`] (the worker's side: stream, provider, settlement) → [`tickets`].
//! [`admin`] and [`rooms`] are the operator's side. Every process is stateless: PostgreSQL decides.

pub mod admin;
pub mod admission;
pub mod app;
pub mod cache;
pub mod catalogue;
pub mod config;
pub mod db;
pub mod error;
pub mod fail_point;
pub mod holds;
pub mod http;
pub mod login;
pub mod mail;
pub mod metrics;
pub mod openapi;
pub mod orders;
pub mod purchase;
pub mod rooms;
pub mod side;
pub mod tickets;
pub mod worker;
