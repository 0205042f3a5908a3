//! Every key of the configuration as a flag: one group of headings for `run` and `check`.

use crate::config::keys::{Form, KEYS, Key, Reload, Usual};
use crate::config::{CONFIG_VARIABLE, Config, Problem, Problems, Sources};
use crate::limits::Limits;
use clap::{Arg, ArgMatches, Command, value_parser};
use std::path::{Path, PathBuf};

/// The file and the flags that were given.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    file: Option<PathBuf>,
    flags: Vec<(&'static str, String)>,
}

impl Settings {
    /// Of a file and of this process' variables.
    pub(super) fn of_file(path: &Path) -> Self {
        Self { file: Some(path.to_owned()), flags: Vec::new() }
    }

    /// Layers file, variables of this process and flags, and reads the files that keys name.
    pub(super) fn load(self) -> Result<(Config, Vec<Problem>), Problems> {
        let (config, warnings) = self.load_keys()?;
        // What is in a file belongs to the stage that uses it, and so does the syntax of a route.
        crate::app::check(&config)?;
        Ok((config, warnings))
    }

    /// As [`Self::load`], with those files left for later.
    pub(super) fn load_keys(self) -> Result<(Config, Vec<Problem>), Problems> {
        // A variable that is no Unicode is none of ours: keys and values are plain text.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let file = self.file.or_else(|| std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from));
        Config::load(&Sources {
            file: file.filter(|path| !path.as_os_str().is_empty()),
            flags: self.flags,
            variables: variables.collect(),
            limits: Limits::of_this_process(),
        })
    }
}

impl clap::FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut settings = Self::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.file = matches.get_one::<PathBuf>("config").cloned();
        let given = |key: &&Key| matches.contains_id(key.name);
        for key in KEYS.iter().filter(given) {
            let values = matches.get_many::<String>(key.name).into_iter().flatten();
            self.flags.extend(values.map(|value| (key.name, value.clone())));
        }
        Ok(())
    }
}

impl clap::Args for Settings {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(format!("The configuration in YAML [variable: {CONFIG_VARIABLE}]"))
            .help_heading(USUAL_HEADING)
            .display_order(0);
        let command = command.arg(config);
        KEYS.iter().enumerate().fold(command, |command, (order, key)| command.arg(flag(key, order)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

const USUAL_HEADING: &str = "Usual settings";

/// Those that most people set, in the order they are asked for.
const FIRST: &[&str] = &["upstream.url", "listen", "admin.address", "baseline", "data_dir"];

fn flag(key: &'static Key, order: usize) -> Arg {
    let mut notes = Vec::new();
    if let Form::OneOf(words) = key.form {
        notes.push(format!("[one of: {}]", words.join(", ")));
    }
    let default = key.default;
    if !default.is_empty() {
        notes.push(format!("[default: {default}]"));
    }
    if key.reload() == Reload::Restart {
        notes.push("[restart]".to_owned());
    }
    let help = [&[key.help.to_owned()], &*notes].concat().join(" ");
    let first = FIRST.iter().position(|name| *name == key.name);
    let arg = Arg::new(key.name)
        .value_name(key.form.value_name())
        .help(help)
        .help_heading(if first.is_some() { USUAL_HEADING } else { heading(key) })
        .display_order(first.map_or(order + 100, |position| position + 1))
        .hide_short_help(key.usual == Usual::No);
    match key.short {
        Some(short) => arg.long(short).visible_alias(key.flag()),
        None => arg.long(key.flag()),
    }
}

fn heading(key: &Key) -> &'static str {
    match (key.name, key.group()) {
        (_, "tls") => "TLS for clients",
        (_, "upstream.tls") => "TLS towards the model",
        (_, "upstream") => "Upstream: the model server",
        (_, "admin") => "Admin address",
        (_, "model" | "model.pointers") => "Model and payloads",
        (_, "capture") => "Capture",
        (_, "features") => "Features",
        ("windows", _) | (_, "baseline.learn" | "drift") => "Drift",
        (_, "labels") => "Labels",
        ("archive", _) | (_, "archive") => "Archive",
        (_, "export") => "Export",
        (_, "export.otlp" | "export.otlp.tls") => "Export by OTLP",
        (_, "export.azure") => "Tokens of Microsoft Entra ID",
        (_, "kubernetes") => "Kubernetes",
        (_, "drain") => "Drain at shutdown",
        _ => "Serving",
    }
}
