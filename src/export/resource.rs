//! Who speaks: the attributes that every signal of this process shares.

use super::names::key;
use crate::config;
use opentelemetry::KeyValue;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Attributes by key, in OTLP spelling. What the configuration names wins over what is found here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    attributes: BTreeMap<String, String>,
    /// Of this process, where the configuration has no other.
    instance_id: String,
}

impl Resource {
    /// The instance id is new with each process, unless the configuration gives one.
    pub fn new(export: &config::Export, model: &config::Model) -> Self {
        Self::of_instance(Uuid::now_v7().to_string(), export, model)
    }

    /// Of the same process, whose configuration has changed.
    #[must_use]
    pub fn again(&self, export: &config::Export, model: &config::Model) -> Self {
        Self::of_instance(self.instance_id.clone(), export, model)
    }

    fn of_instance(instance_id: String, export: &config::Export, model: &config::Model) -> Self {
        let mut resource = Self { attributes: sdk_attributes(), instance_id };
        resource.set("service.name", &export.service_name);
        let instance_id = resource.instance_id.clone();
        resource.set("service.instance.id", &instance_id);
        resource.set("service.version", env!("CARGO_PKG_VERSION"));
        for (name, value) in &export.resource {
            resource.set(name, value);
        }
        resource.set(key::MODEL_NAME, &model.name);
        resource.set(key::MODEL_VERSION, &model.version);
        resource
    }

    #[cfg(test)]
    pub(crate) fn of(attributes: &[(&str, &str)]) -> Self {
        let owned = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self { attributes: owned.collect(), instance_id: String::new() }
    }

    fn set(&mut self, name: &str, value: &str) {
        self.attributes.insert(name.to_owned(), value.to_owned());
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// `model.name` and `model.version`, which every point carries: not every store joins a
    /// resource to its points, and a fleet is read by model version.
    pub(crate) fn model(&self) -> [(&'static str, &str); 2] {
        [key::MODEL_NAME, key::MODEL_VERSION].map(|name| (name, self.get(name)))
    }

    pub(crate) fn to_sdk(&self) -> opentelemetry_sdk::Resource {
        let attributes = self.iter().map(|(k, v)| KeyValue::new(k.to_owned(), v.to_owned()));
        opentelemetry_sdk::Resource::builder_empty().with_attributes(attributes).build()
    }
}

/// `telemetry.sdk.name`, `.language` and `.version`.
fn sdk_attributes() -> BTreeMap<String, String> {
    let detector = Box::new(TelemetryResourceDetector);
    let detected = opentelemetry_sdk::Resource::builder_empty().with_detector(detector).build();
    detected.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(configured: &[(&str, &str)]) -> Resource {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let export = config::Export {
            otlp: None,
            application_insights: None,
            azure: None,
            resource: configured.iter().map(own).collect(),
            service_name: "income-sidecar".into(),
        };
        let model = config::Model {
            name: "income".into(),
            version: "3".into(),
            protocol: config::PayloadProtocol::Auto,
            signature: None,
            feature_names: Vec::new(),
            pointers: None,
        };
        Resource::new(&export, &model)
    }

    #[test]
    fn a_resource_says_who_where_and_which_model() {
        let resource = resource(&[]);
        assert_eq!(resource.get("service.name"), "income-sidecar");
        assert_eq!(resource.get("model.version"), "3");
        assert_eq!(resource.get("telemetry.sdk.name"), "opentelemetry");
        assert_eq!(resource.get("service.instance.id").len(), 36);
    }

    #[test]
    fn configured_attributes_win_over_what_was_found() {
        let resource = resource(&[("service.instance.id", "pod-7"), ("k8s.pod.name", "p")]);
        assert_eq!(resource.get("service.instance.id"), "pod-7");
        assert_eq!(resource.get("k8s.pod.name"), "p");
    }
}
