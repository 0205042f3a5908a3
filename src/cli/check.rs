//! `taffrail check`: every problem of a configuration, or what it comes to.

use super::problems;
use super::settings::Settings;
use super::style::{Colour, Palette};
use crate::config::keys::{Key, Reload, find};
use crate::config::{Config, json_schema};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the JSON Schema of the configuration file instead
    #[arg(long, display_order = 0)]
    schema: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn check(args: Args) -> anyhow::Result<ExitCode> {
    if args.schema {
        super::print(&serde_json::to_string_pretty(&json_schema())?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (config, warnings) = match args.settings.load() {
        Ok(loaded) => loaded,
        Err(found) => return Ok(problems::print(&found)),
    };
    problems::warn(&warnings);
    super::print(&summary(&config))?;
    Ok(ExitCode::SUCCESS)
}

/// What was given, and where; defaults are left out.
fn summary(config: &Config) -> String {
    let palette = Palette::of_stdout();
    let given: Vec<_> =
        config.effective().iter().filter(|entry| entry.source != "default").collect();
    let key_width = given.iter().map(|entry| entry.key.len()).max().unwrap_or(0);
    let value_width = given.iter().map(|entry| entry.value.chars().count()).max().unwrap_or(0);
    let head = palette.paint(Colour::Green, "The configuration is good.");
    let defaults = config.effective().len() - given.len();
    let keys = match given.len() {
        1 => "1 key is".to_owned(),
        many => format!("{many} keys are"),
    };
    let mut lines = vec![format!("{head} {keys} given, {defaults} have their default:")];
    lines.extend(given.iter().map(|entry| {
        let source = palette.paint(Colour::Dim, &entry.source);
        let (key, value) = (entry.key, &entry.value);
        let reload = match find(key).map(Key::reload) {
            Some(Reload::Live) => "",
            _ => "  (restart)",
        };
        format!("  {key:key_width$}  {value:value_width$}  {source}{reload}")
    }));
    if given.iter().any(|entry| find(entry.key).map(Key::reload) == Some(Reload::Restart)) {
        lines.push(
            "Keys marked (restart) need one to change; a reload takes over all others.".into(),
        );
    }
    lines.join("\n")
}
