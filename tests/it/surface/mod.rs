//! What the scope does with requests that no honest client sends, and what its answers look like to the byte.

mod cookie_names;
mod cookies;
mod csrf;
mod hiding;
mod http;
mod order;

use http::{Connection, Reply, Request};
