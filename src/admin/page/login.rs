//! Where the admin token is given: a form that works without a script.

use super::shell::{Page, Place};
use crate::admin::visit::Visit;
use axum::http::StatusCode;
use maud::{Markup, html};

/// Asks for the token, to go on to `to` afterwards.
pub(in crate::admin) fn page(visit: &Visit, to: &str, why: &str, is_configured: bool) -> Page {
    let content = html! {
        section.panel.alone #login aria-labelledby="login-title" {
            h1 #login-title { "Payloads are shown with the admin token only" }
            @if is_configured { p.trouble role="alert" { (why) } (form(visit, to)) }
            @else { (no_token()) }
        }
    };
    let status = if is_configured { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
    Page { status, ..Page::still(Place::Exchanges, "Sign in", content) }
}

pub(super) fn form(visit: &Visit, to: &str) -> Markup {
    html! {
        form.login method="post" action={ (visit.root) "login" } {
            input type="hidden" name="to" value=(to);
            label for="token" { "Admin token" }
            input #token type="password" name="token" autocomplete="current-password" required;
            button type="submit" { "Show payloads" }
        }
    }
}

pub(super) fn no_token() -> Markup {
    html! {
        p {
            "No admin token is configured, so payloads are shown to nobody. Put a secret into a file "
            "and name it in "
            code { "admin.token_file" } " (" code { "--admin-token-file" } ")."
        }
    }
}
