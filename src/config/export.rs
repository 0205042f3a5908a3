//! The `export` section: the resource, receivers where there are any, and what they share.

use super::azure;
use super::checked::{Export, OtlpAuth};
use super::otlp;
use super::pod::Pod;
use super::reader::Reader;

pub(super) fn export(reader: &mut Reader<'_>, pod: &Pod) -> Option<Export> {
    let otlp = otlp::otlp(reader);
    let track = pod.model_track(reader);
    let mut resource = pod.attributes(&track?, reader.pairs("export.resource"));
    let attribute = resource.iter().position(|(name, _)| name == "service.name");
    let attribute = attribute.map(|position| resource.remove(position).1);
    // The specification: OTEL_SERVICE_NAME over service.name among the attributes.
    let service_name = match attribute {
        Some(name) if !reader.is_given("export.service_name") => name,
        _ => reader.text("export.service_name"),
    };
    let otlp = otlp?;
    let wants_token = otlp.as_ref().is_some_and(|otlp| otlp.auth == OtlpAuth::Azure);
    let azure = if wants_token { Some(azure::azure(reader)?) } else { None };
    Some(Export { otlp, azure, resource, service_name })
}
