//! What is measured, a file for each subject.

mod guard;

use crate::figures::Figures;

type Part = (&'static str, fn(&mut Figures));

pub(crate) const ALL: [Part; 1] = [("guard", guard::run)];
