//! The server as its visitors meet it.

mod router;
mod support;
mod visitors;
