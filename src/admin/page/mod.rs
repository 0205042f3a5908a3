//! Pages for people: each rendered whole, of which the content of `main` is what changes.

mod badge;
mod beside;
mod bins;
mod early;
mod exchange;
mod exchanges;
mod feature;
mod health;
mod login;
mod message;
mod performance;
mod range;
mod segments;
mod shell;
mod summary;
mod system;
mod traffic;
mod trend;
mod watched;

pub(super) use exchange::one as exchange_page;
pub(super) use exchanges::page as exchanges_page;
pub(super) use feature::page as feature_page;
pub(super) use health::page as health_page;
pub(super) use login::page as login_page;
pub(super) use message::{bad_request, not_found};
pub(super) use performance::page as performance_page;
pub(super) use shell::{Page, answer};
pub(super) use system::page as system_page;
pub(super) use traffic::page as overview_page;

use super::visit::encoded;
use crate::sketch::Role;
use maud::{Markup, html};

/// What stands where there is nothing to show yet, and what to do about it.
fn empty(text: &Markup) -> Markup {
    html! { p.empty { (text) } }
}

/// A table that scrolls by itself where it is wider than the page, reachable by keyboard.
fn scroll(id: &str, label: &str, table: &Markup) -> Markup {
    html! {
        div.scroll id=(id) tabindex="0" role="region" aria-label=(label) { (table) }
    }
}

/// As [`scroll`], and within a bounded height.
fn scroll_long(id: &str, label: &str, table: &Markup) -> Markup {
    html! {
        div.scroll.long id=(id) tabindex="0" role="region" aria-label=(label) { (table) }
    }
}

/// A feature's own page. Some names cannot be a segment of a path: a browser takes `..` as a way up.
fn feature_link(root: &str, role: Role, name: &str) -> String {
    let (name, is_segment) = (encoded(name), !matches!(name, "" | "." | ".."));
    if is_segment {
        format!("{root}features/{name}?role={role}")
    } else {
        format!("{root}features?name={name}&role={role}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_has_a_link() {
        assert_eq!(
            feature_link("../", Role::Input, "a/b ?#%ü\"<"),
            "../features/a%2Fb%20%3F%23%25%C3%BC%22%3C?role=input"
        );
        assert_eq!(feature_link("./", Role::Output, ".."), "./features?name=..&role=output");
    }
}
