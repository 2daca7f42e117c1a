//! What is measured, a file for each subject.

mod guard;
mod login;
mod memory;
mod refresh;
mod size;

use crate::support::figures::Figures;

type Part = (&'static str, fn(&mut Figures));

pub(crate) const ALL: [Part; 5] = [
    ("guard", guard::run),
    ("refresh", refresh::run),
    ("login", login::run),
    ("size", size::run),
    ("memory", memory::run),
];
