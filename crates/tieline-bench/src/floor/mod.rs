//! The baseline server of `tieline bench floor`: the throughput of a machine without an application.
//!
//! One thread and one poll. A message `T:<id>:<payload>` sends the payload to the connection whose URL
//! ended with `?id=<id>`, in its own `write`; a message that begins with `B` goes verbatim to all
//! connections. `J:<group>` joins a group, `L:<group>` leaves it, and `G:<group>:<payload>` sends the
//! payload to its members. Any other message comes back. Text is answered with text, binary with binary.
//!
//! The replies to one read are sent in one write for each receiver. What goes to groups waits a little
//! longer: all that one look at the sockets brought leaves in one write for each member.
//!
//! It buffers unsent bytes without a bound and validates almost nothing: never use it for anything but
//! measurements. Must not know the load.

mod client;
mod groups;
mod handshake;
mod listen;
mod server;

pub use server::{Floor, floor};
