//! What concerns the program itself: its name, exit statuses, colours, completions, manual pages and built-in configurations.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ColorChoice, ValueEnum};
use clap_complete::Shell;

/// What is typed to run it.
pub const PROGRAM: &str = "archaeo";

/// Exit status of a command line that cannot be understood.
pub const WRONG_COMMAND_LINE: u8 = 2;

/// Exit status of a failure that may pass when the same command is tried again (`EX_TEMPFAIL` of `sysexits.h`).
pub const TRY_AGAIN: u8 = 75;

/// What stands below the commands and options.
pub(super) const AFTER_HELP: &str = "\
`archaeo COMMAND --help` shows what a command takes, with examples.

Results go to stdout. Everything else goes to stderr: progress, and lines that
begin with note:, warning:, hint: or error:.

Exit status:
  0    done
  1    failed; the line that begins with error: says why
  2    the command line is wrong
  75   failed, and may succeed later: a full disk, a network, a folder in use
  130  interrupted (Ctrl-C); the last line says what is kept and how to go on
  143  the same by a request to terminate

Examples:
  archaeo excavate --quick      a first look at everything, on built-in data
  archaeo data scans/           what is in a data set, and what is wrong with it
  archaeo init                  a file with all that can be set, to start from";

/// Whether to colour, said before the rest of the command line is understood, because what is wrong with it is coloured too.
pub fn colour(words: &[OsString]) -> ColorChoice {
    let mut wanted = ColorChoice::Auto;
    let mut words = words.iter().skip(1).map_while(|word| word.to_str().filter(|word| *word != "--"));
    while let Some(word) = words.next() {
        let when = match word.strip_prefix("--color") {
            Some("") => words.next(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        if let Some(when) = when.and_then(|when| ColorChoice::from_str(when, false).ok()) {
            wanted = when;
        }
    }
    wanted
}

/// Arguments of `configs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  archaeo configs
  archaeo configs sherds-vit

`archaeo configs --help` shows all options.")]
pub struct Configs {
    /// Print this one; without it, all names are listed
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  archaeo init
  archaeo init sherds-vit --out my-vit.toml

`archaeo init --help` shows all options.")]
pub struct Init {
    /// Which one, by its name in `archaeo configs`
    #[arg(value_name = "NAME", default_value = "excavate")]
    pub name: String,
    /// File to write [default: NAME.toml]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Write it where the shell looks for it:
  bash  ~/.local/share/bash-completion/completions/archaeo
  zsh   _archaeo in a folder of $fpath
  fish  ~/.config/fish/completions/archaeo.fish

Examples:
  archaeo completions bash
  archaeo completions zsh

`archaeo completions --help` shows all options.")]
pub struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  archaeo man          the page of the program, on stdout
  archaeo man man1/    a page for each command, as files

`archaeo man --help` shows all options.")]
pub struct Man {
    /// Folder for the pages of all commands; one page is printed without it
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colour_is_found_wherever_it_stands() {
        let of = |line: &str| colour(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("archaeo data sherds"), ColorChoice::Auto);
        assert_eq!(of("archaeo --color=never data"), ColorChoice::Never);
        assert_eq!(of("archaeo data --color always x"), ColorChoice::Always);
        assert_eq!(of("archaeo data --color never --color always"), ColorChoice::Always);
        assert_eq!(of("archaeo data --color sometimes"), ColorChoice::Auto);
        assert_eq!(of("archaeo data -- --color always"), ColorChoice::Auto);
        assert_eq!(of("archaeo data --color"), ColorChoice::Auto);
    }
}
