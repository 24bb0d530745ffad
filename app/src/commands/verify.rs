//! `archaeo verify`: whether an investigation is what it was.

use anyhow::{Result, bail};
use archaeo_experiments::custody::{Check, Outcome, Verification};
use archaeo_lab::{Session, VerifyOptions};

use crate::cli::Verify;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A folder without a manifest, a key that cannot be used, and anything that differs.
pub fn run(arguments: &Verify, session: &Session, printer: &Printer) -> Result<()> {
    let options = VerifyOptions {
        sample: arguments.sample,
        deep: arguments.deep,
        public_key: arguments.public_key.clone(),
        sign: arguments.sign.clone(),
        password: std::env::var("ARCHAEO_KEY_PASSWORD").ok(),
    };
    let verified = session.verify_investigation(&arguments.path, &options)?;
    printer.result(&verified, lines)?;
    let mut differing: Vec<&str> = verified.of(Outcome::Differs).map(|check| check.name.as_str()).collect();
    differing.sort_unstable();
    differing.dedup();
    match differing[..] {
        [] => {}
        [one] => bail!("{one} is not what it was"),
        [one, ref more @ ..] => bail!("{one} and {} more are not what they were", more.len()),
    }
    Ok(())
}

fn lines(verified: &Verification) -> String {
    let Verification { folder, agree, differ, unchecked, checks, .. } = verified;
    let outcome = |check: &Check| match check.outcome {
        Outcome::Agrees => "agrees",
        Outcome::Differs => "DIFFERS",
        Outcome::Unchecked => "not checked",
    };
    let width = |of: &dyn Fn(&Check) -> usize| checks.iter().map(of).max().unwrap_or(0);
    let part = width(&|check| check.part.name().len());
    let mut lines = format!("{folder}, sealed by {}\n", verified.sealed_by);
    for check in checks {
        let Check { part: of, name, detail, .. } = check;
        lines += &format!("{:part$}  {:11}  {name}: {detail}\n", of.name(), outcome(check));
    }
    lines + &format!("{agree} agree, {differ} differ, {unchecked} could not be checked\n")
}
