//! The program `archaeo`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(archaeo::run(std::env::args_os().collect()))
}
