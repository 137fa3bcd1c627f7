//! The manual pages, from the definitions that the program itself runs by.
//!
//! Responsible for `tapster.8` and `tapster-ctl.8`, which say what `--help` says, and for `tapster.toml.5`, which says what
//! the documented default says. Not for where they are installed.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;

use crate::command_line::CommandLine;

/// Writes all pages.
///
/// # Errors
/// When the directory cannot be made or written to.
pub(crate) fn write(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut whole = CommandLine::command();
    whole.build();
    let ctl = whole.find_subcommand("ctl").cloned().unwrap_or_default();
    fs::write(directory.join("tapster.8"), program(&whole, &whole, "COMMANDS")?)?;
    let page = program(&ctl.clone().name("tapster-ctl").display_name("tapster-ctl"), &ctl, "VERBS")?;
    fs::write(directory.join("tapster-ctl.8"), page)?;
    fs::write(directory.join("tapster.toml.5"), configuration(tapster_config::EMBEDDED_DOCUMENT))
}

/// A program's page. What its subcommands do stands in it, not in pages of their own.
fn program(titled: &Command, command: &Command, heading: &str) -> io::Result<Vec<u8>> {
    let man = Man::new(titled.clone()).section("8");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend(subcommands(command, heading).into_bytes());
    Ok(page)
}

/// Text that troff shows as it is.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// What each subcommand does, with its arguments.
fn subcommands(ctl: &Command, heading: &str) -> String {
    let mut page = format!(".SH {heading}\n");
    for verb in ctl.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let own: Vec<_> = verb.get_arguments().filter(|argument| !is_global(ctl, argument)).collect();
        let usage: Vec<_> =
            own.iter().filter(|argument| argument.is_positional()).map(|argument| named(argument)).collect();
        let _ = writeln!(page, ".SS \"{} {}\"", verb.get_name(), escaped(&usage.join(" ")));
        let about = verb.get_long_about().or(verb.get_about()).map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "{}", about.lines().map(escaped).collect::<Vec<_>>().join("\n"));
        for argument in own {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(page, ".TP\n\\fB{}\\fR\n{}", escaped(&named(argument)), escaped(&help));
        }
    }
    page
}

/// Whether the page has it among the options already.
fn is_global(ctl: &Command, argument: &Arg) -> bool {
    argument.get_id() == "help" || ctl.get_arguments().any(|other| other.get_id() == argument.get_id())
}

/// An argument as one types it.
fn named(argument: &Arg) -> String {
    let value = argument.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
        None => value,
    }
}

/// The documented default as a page: each section under its heading, each key with what stands above it.
fn configuration(document: &str) -> String {
    let mut page = String::from(concat!(
        ".TH tapster.toml 5\n.SH NAME\ntapster.toml \\- the configuration of tapster\n",
        ".SH DESCRIPTION\n"
    ));
    let mut comment = String::new();
    for line in document.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split_once(" = ").is_some_and(|(key, _)| !key.is_empty() && !key.contains([' ', '#', '`']));
        if key {
            let _ = writeln!(page, ".TP\n\\fB{}\\fR\n{comment}", escaped(bare));
            comment.clear();
        } else if bare.starts_with('[') && bare.ends_with(']') {
            let _ = writeln!(page, ".SH \"{}\"\n{comment}", escaped(bare));
            comment.clear();
        } else if line.is_empty() || line == "#" {
            if !comment.is_empty() {
                let _ = writeln!(page, ".PP\n{comment}");
            }
            comment.clear();
        } else {
            if !comment.is_empty() {
                comment.push('\n');
            }
            comment.push_str(&escaped(bare));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_and_every_key_has_its_place() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        let ctl = read("tapster-ctl.8");
        for wanted in [".SS \"connections ID\"", "\\-\\-state STATE", ".SS \"kill ID\"", ".SS \"capture FILE\""] {
            assert!(ctl.contains(wanted), "{wanted} is not in\n{ctl}");
        }
        assert!(read("tapster.8").contains("ctl"));
        let keys = read("tapster.toml.5");
        for wanted in [".SH \"[link]\"", "\\fBmtu = 1500\\fR", ".SH \"[impair.in]\"", "\\fBbridge = \"br0\"\\fR"] {
            assert!(keys.contains(wanted), "{wanted} is not in\n{keys}");
        }
    }

    #[test]
    fn text_is_no_request_of_troff() {
        assert_eq!(escaped(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(escaped("a-b\\c"), "a\\-b\\ec");
    }
}
