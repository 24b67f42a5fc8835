//! The examples of README.md as doctests.
#![cfg(all(doctest, feature = "redis"))]
#![doc = include_str!("../README.md")]
