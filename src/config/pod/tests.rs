use super::super::{Config, Problem, Problems};
use super::*;

const LABELS: &str = "app=\"income\"\npod-template-hash=\"7c9f8\"\ntrack=\"canary\"\n\
                      app.kubernetes.io/version=\"1.4\"\n";

/// A pod as Kubernetes shows it to its containers.
struct Told {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Told {
    fn new(labels: &str, annotations: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("labels"), labels).unwrap();
        std::fs::write(directory.path().join("annotations"), annotations).unwrap();
        let variables = [
            ("POD_NAME", "income-7c9f8-x2k4p"),
            ("POD_NAMESPACE", "ml"),
            ("POD_UID", "0b1c"),
            ("NODE_NAME", "node-3"),
            ("CONTAINER_NAME", "taffrail"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { directory, variables }
    }

    fn load(&self, keys: &[(&'static str, &str)]) -> Result<(Config, Vec<Problem>), Problems> {
        let directory = self.directory.path().display().to_string();
        let mut flags = vec![("upstream.url", "http://127.0.0.1:1".to_owned()), (KEY, directory)];
        flags.extend(keys.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let variables = self.variables.clone();
        Config::load(&Sources { flags, variables, ..Sources::default() })
    }

    fn resource(&self, keys: &[(&'static str, &str)]) -> BTreeMap<String, String> {
        self.load(keys).unwrap().0.export.resource.into_iter().collect()
    }
}

#[test]
fn a_pod_is_named_by_the_conventions() {
    let resource = Told::new(LABELS, "").resource(&[]);
    for (name, value) in [
        ("k8s.pod.name", "income-7c9f8-x2k4p"),
        ("k8s.namespace.name", "ml"),
        ("k8s.pod.uid", "0b1c"),
        ("k8s.node.name", "node-3"),
        ("k8s.container.name", "taffrail"),
        ("k8s.deployment.name", "income"),
        ("k8s.replicaset.name", "income-7c9f8"),
        ("service.instance.id", "ml.income-7c9f8-x2k4p.taffrail"),
        ("taffrail.track", "canary"),
    ] {
        assert_eq!(resource.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn other_owners_and_lesser_knowledge() {
    let mut told = Told::new("apps.kubernetes.io/pod-index=\"2\"\n", "");
    told.variables = vec![("POD_NAME".into(), "scores-2".into()), ("POD_UID".into(), "u".into())];
    let resource = told.resource(&[]);
    assert_eq!(resource["k8s.statefulset.name"], "scores");
    assert_eq!(resource["service.instance.id"], "u");
    let mut rollout = Told::new("rollouts-pod-template-hash=\"5d\"\n", "");
    rollout.variables = vec![("POD_NAME".into(), "income-5d-abc".into())];
    let resource = rollout.resource(&[]);
    assert_eq!(resource["k8s.replicaset.name"], "income-5d");
    assert!(!resource.contains_key("service.instance.id"), "{resource:?}");
}

#[test]
fn configured_attributes_and_annotations_of_the_operator_win() {
    let told = Told::new(LABELS, "resource.opentelemetry.io/team=\"risk\"\n");
    let given = "service.instance.id=mine,k8s.pod.name=other,taffrail.track=blue";
    let resource = told.resource(&[("export.resource", given)]);
    assert_eq!(resource["service.instance.id"], "mine");
    assert_eq!(resource["k8s.pod.name"], "other");
    assert_eq!(resource["taffrail.track"], "blue");
    assert_eq!(resource["team"], "risk");
}

#[test]
fn a_model_is_named_by_key_by_annotation_or_by_label() {
    let model = |labels: &str, annotations: &str, keys: &[(&'static str, &str)]| {
        let model = Told::new(labels, annotations).load(keys).unwrap().0.model;
        (model.name, model.version)
    };
    let annotations = "taffrail.io/model-name=\"income\"\ntaffrail.io/model-version=\"3.1\"\n";
    assert_eq!(model(LABELS, annotations, &[]), ("income".into(), "3.1".into()));
    assert_eq!(model(LABELS, "", &[]), ("model".into(), "1.4".into()));
    assert_eq!(model("", "", &[]), ("model".into(), "unknown".into()));
    let keys = [("model.version", "7"), ("model.name", "label:app")];
    assert_eq!(model(LABELS, annotations, &keys), ("income".into(), "7".into()));
    let keys = [("model.version", "annotation:build/commit")];
    assert_eq!(model("", "build/commit=\"a1b2\"\n", &keys).1, "a1b2");
}

#[test]
fn a_label_that_is_not_there_and_a_directory_that_is_none_are_told() {
    let refused = |told: &Told, keys: &[(&'static str, &str)]| {
        told.load(keys).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let told = Told::new(LABELS, "");
    let problems = refused(&told, &[("model.track", "label:role")]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    for part in ["--model-track: model.track: \"label:role\"", "pod-template-hash, track"] {
        assert!(problems[0].contains(part), "{problems:?}");
    }
    let problems = refused(&told, &[(KEY, "/nowhere/at/all")]);
    assert!(problems[0].contains("mount a downwardAPI volume"), "{problems:?}");
}

#[test]
fn values_are_unquoted_as_go_quoted_them() {
    for (line, value) in [
        (r#"a="plain""#, Some("plain")),
        (r#"a="""#, Some("")),
        (r#"a="a=b \"c\" \\ \n\t""#, Some("a=b \"c\" \\ \n\t")),
        (r#"a="gr\u00fc\U0001f600\x41""#, Some("gr\u{fc}\u{1f600}A")),
        (r#"a="\xff""#, Some("\u{fffd}")),
        (r#"a="un"quoted""#, None),
        (r#"a="\q""#, None),
        (r#"a="\u12""#, None),
        (r#"a="open"#, None),
        ("nothing", None),
    ] {
        assert_eq!(pair(line).map(|(_, value)| value).as_deref(), value, "{line}");
    }
    let told = Told::new("good=\"1\"\nbad\n", "");
    let (_, warnings) = told.load(&[]).unwrap();
    assert!(warnings[0].to_string().contains("not key=\"value\""), "{warnings:?}");
}
