//! How much is accepted, and how long is waited.

use std::time::Duration;

/// Bytes of an uploaded file.
pub const UPLOAD_BYTES: usize = 20 << 20;
/// Bytes of any other body.
pub const BODY_BYTES: usize = 64 << 10;
/// Bytes of a request's head.
pub const HEAD_BYTES: usize = 32 << 10;
/// Connections at once.
pub const CONNECTIONS: usize = 256;
/// Questions of one visitor that wait or are computed.
pub const QUESTIONS_EACH: usize = 24;
/// Questions of all visitors that wait or are computed.
pub const QUESTIONS: usize = 512;
/// Uploads that are received at once, each of which may take [`UPLOAD_BYTES`].
pub const UPLOADS: usize = 8;
/// Attacks of one visitor that run.
pub const ATTACKS_EACH: usize = 1;
/// Attacks of all visitors that run or wait.
pub const ATTACKS: usize = 16;
/// Attacks of which the steps are kept; the oldest goes first.
pub const ATTACKS_KEPT: usize = 32;
/// Bytes of the pictures of one attack's steps; beyond, every other one is dropped.
pub const STEP_BYTES: usize = 24 << 20;
/// Until a request's head has arrived.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Until its body has.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// That an attack goes on without anybody listening.
pub const UNHEARD_TIME: Duration = Duration::from_secs(10);
/// The longest attack.
pub const ATTACK_TIME: Duration = Duration::from_secs(600);
/// Length of names that are repeated in answers.
pub const NAME_LENGTH: usize = 200;
