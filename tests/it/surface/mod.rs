//! What the scope does with requests that no honest client sends, and what its answers look like to the byte.

mod alike;
mod authorization;
mod bodies;
mod client_script;
mod cookie_names;
mod cookies;
mod csrf;
mod doctor;
mod extractors;
mod fuzz;
mod hiding;
mod host;
mod http;
mod keys;
mod order;
mod passwords;
mod request_ids;
mod sizes;

use http::{Connection, Reply, Request};
