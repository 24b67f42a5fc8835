//! The examples of README.md as doctests.
#![cfg(doctest)]
#![doc = include_str!("../README.md")]
