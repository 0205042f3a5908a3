//! The `export` section: the resource, receivers where there are any, and what they share.

use super::application_insights::application_insights;
use super::azure;
use super::checked::{ApplicationInsights, Export, IngestionAuthorization, OtlpAuth};
use super::otlp;
use super::pod::Pod;
use super::reader::Reader;
use std::path::Path;

pub(super) fn export(reader: &mut Reader<'_>, pod: &Pod, data_dir: &Path) -> Option<Export> {
    // One sampler for all who take spans: a trace that one has and the other has not is of no use.
    let sampler = otlp::sampler(reader);
    let otlp = otlp::otlp(reader, sampler);
    let application_insights = application_insights(reader, data_dir, sampler);
    let track = pod.model_track(reader);
    let mut resource = pod.attributes(&track?, reader.pairs("export.resource"));
    let attribute = resource.iter().position(|(name, _)| name == "service.name");
    let attribute = attribute.map(|position| resource.remove(position).1);
    // The specification: OTEL_SERVICE_NAME over service.name among the attributes.
    let service_name = match attribute {
        Some(name) if !reader.is_given("export.service_name") => name,
        _ => reader.text("export.service_name"),
    };
    let (otlp, application_insights) = (otlp?, application_insights?);
    let wants_token = otlp.as_ref().is_some_and(|otlp| otlp.auth == OtlpAuth::Azure)
        || application_insights.as_ref().is_some_and(is_by_token);
    let azure = if wants_token { Some(azure::azure(reader)?) } else { None };
    Some(Export { otlp, application_insights, azure, resource, service_name })
}

fn is_by_token(insights: &ApplicationInsights) -> bool {
    matches!(insights.connection.authorization, IngestionAuthorization::EntraId { .. })
}
