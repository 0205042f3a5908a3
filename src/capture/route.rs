//! Which template a path belongs to: `http.route`, never the raw path, so that series stay bounded.

use thiserror::Error;

/// An index into the [`RouteTable`] that every thread shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(u16);

impl RouteId {
    /// Paths that no template matches.
    pub const OTHER: Self = Self(0);

    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The paths that model servers serve, most asked for first.
const KNOWN: &[&str] = &[
    "/v2/models/{model}/infer",
    "/v2/models/{model}/versions/{version}/infer",
    "/v1/models/{model}:predict",
    "/v1/models/{model}:explain",
    "/v1/models/{model}",
    "/invocations",
    "/score",
    "/predict",
    "/predictions/{model}",
    "/api/v1.0/predictions",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/{model}",
    "/v2/models/{model}/ready",
    "/v2",
    "/ping",
    "/health",
    "/healthz",
    "/metrics",
    "/",
];

#[derive(Debug, Error)]
pub enum RouteTableError {
    #[error("a route must begin with '/': {0:?}")]
    NotAPath(String),
    #[error("braces do not pair up in route {0:?}; write a variable segment as {{name}}")]
    UnpairedBraces(String),
    #[error("{0} routes are configured; at most {1} are allowed")]
    TooMany(usize, usize),
}

/// Every template that a path can be counted under; fixed at start.
#[derive(Debug)]
pub struct RouteTable {
    templates: Vec<Template>,
}

impl RouteTable {
    pub const MAX_CONFIGURED: usize = 200;

    /// Templates of the configuration go before the known ones.
    pub fn new<S: AsRef<str>>(configured: &[S]) -> Result<Self, RouteTableError> {
        if configured.len() > Self::MAX_CONFIGURED {
            return Err(RouteTableError::TooMany(configured.len(), Self::MAX_CONFIGURED));
        }
        let configured = configured.iter().map(AsRef::as_ref);
        let templates = configured.chain(KNOWN.iter().copied()).map(Template::parse);
        let other = Template { text: "other".into(), literals: Vec::new() };
        let templates = std::iter::once(Ok(other)).chain(templates).collect::<Result<_, _>>()?;
        Ok(Self { templates })
    }

    /// The first template that `path` fits, else [`RouteId::OTHER`].
    pub fn classify(&self, path: &str) -> RouteId {
        let found = self.templates.iter().skip(1).position(|template| template.fits(path));
        let index = found.map_or(0, |position| position + 1);
        RouteId(u16::try_from(index).unwrap_or(0))
    }

    /// The template as users see it; "other" for paths that fit none.
    pub fn template(&self, route: RouteId) -> &str {
        self.templates.get(route.index()).map_or("other", |template| &template.text)
    }

    /// How many routes there are, "other" included.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    pub fn is_empty(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct Template {
    text: Box<str>,
    /// What stands between the variables: one more than there are variables.
    literals: Vec<Box<str>>,
}

impl Template {
    fn parse(text: &str) -> Result<Self, RouteTableError> {
        if !text.starts_with('/') {
            return Err(RouteTableError::NotAPath(text.into()));
        }
        let mut literals = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| RouteTableError::UnpairedBraces(text.into()))?;
            if name.is_empty() || name.contains(['{', '/']) || literal.contains('}') {
                return Err(RouteTableError::UnpairedBraces(text.into()));
            }
            literals.push(literal.into());
            rest = after;
        }
        if rest.contains('}') {
            return Err(RouteTableError::UnpairedBraces(text.into()));
        }
        literals.push(rest.into());
        Ok(Self { text: text.into(), literals })
    }

    fn fits(&self, path: &str) -> bool {
        let Some((first, others)) = self.literals.split_first() else { return false };
        let Some(mut rest) = path.strip_prefix(&**first) else { return false };
        for literal in others {
            // A variable takes at least one byte, and never crosses a slash.
            let segment_end = rest.find('/').unwrap_or(rest.len());
            let variable_end = match &**literal {
                "" => segment_end,
                literal if literal.starts_with('/') => segment_end,
                literal => match rest[..segment_end].rfind(first_segment(literal)) {
                    Some(end) => end,
                    None => return false,
                },
            };
            if variable_end == 0 {
                return false;
            }
            let Some(after) = rest[variable_end..].strip_prefix(&**literal) else { return false };
            rest = after;
        }
        rest.is_empty()
    }
}

fn first_segment(literal: &str) -> &str {
    literal.split('/').next().unwrap_or(literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route_of(path: &str) -> String {
        let table = RouteTable::new(&["/tenants/{tenant}/score"]).unwrap();
        table.template(table.classify(path)).to_owned()
    }

    #[test]
    fn paths_of_the_known_servers_find_their_template() {
        for (path, template) in [
            ("/v2/models/risk/infer", "/v2/models/{model}/infer"),
            ("/v2/models/risk/versions/3/infer", "/v2/models/{model}/versions/{version}/infer"),
            ("/v1/models/risk:predict", "/v1/models/{model}:predict"),
            ("/v1/models/a:b:predict", "/v1/models/{model}:predict"),
            ("/v1/models/risk", "/v1/models/{model}"),
            ("/invocations", "/invocations"),
            ("/", "/"),
            ("/tenants/acme/score", "/tenants/{tenant}/score"),
        ] {
            assert_eq!(route_of(path), template, "{path}");
        }
    }

    #[test]
    fn a_path_that_fits_no_template_is_other() {
        for path in ["/v2/models//infer", "/v2/models/a/b/infer", "/invocations/", "/x", "", "*"] {
            assert_eq!(route_of(path), "other", "{path}");
        }
    }

    #[test]
    fn a_malformed_template_is_refused() {
        for template in ["score", "/a/{b", "/a/b}", "/a/{}", "/a/{b/c}"] {
            assert!(RouteTable::new(&[template]).is_err(), "{template}");
        }
    }
}
