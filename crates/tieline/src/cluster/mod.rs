//! Many nodes as one.
