//! What the scope does with requests that no honest client sends, and what its answers look like to the byte.

mod bodies;
mod cookie_names;
mod cookies;
mod csrf;
mod hiding;
mod host;
mod http;
mod order;
mod sizes;

use http::{Connection, Reply, Request};
