//! Several nodes in one process, joined by real links.

mod ancestor;
mod away;
mod life;
mod links;
mod lookups;
mod moves;
mod noise;
mod numbers;
mod order;
mod reach;
mod rivals;
mod services;
mod silence;
mod strangers;
mod wandering;
