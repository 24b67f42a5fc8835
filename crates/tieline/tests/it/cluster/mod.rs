//! Several nodes in one process, joined by real links.

mod reach;
