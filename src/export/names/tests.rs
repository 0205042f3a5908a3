use super::*;
use std::collections::HashSet;
use std::path::Path;

#[test]
fn names_are_unique_and_spelled_as_the_conventions_ask() {
    let names: HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len());
    for metric in ALL {
        let ours = metric.name.starts_with("taffrail.") || metric.name.starts_with("http.");
        let spelled =
            metric.name.bytes().all(|b| b.is_ascii_lowercase() || b"._0123456789".contains(&b));
        assert!(ours && spelled, "{}", metric.name);
        assert!(metric.description.ends_with('.'), "{}", metric.name);
    }
}

#[test]
fn bounds_ascend_and_attributes_are_named_once() {
    for metric in ALL {
        let keys: HashSet<_> = metric.attributes.iter().collect();
        assert_eq!(keys.len(), metric.attributes.len(), "{}", metric.name);
        if let Kind::Histogram { bounds } = metric.kind {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{}", metric.name);
        }
    }
}

#[test]
fn every_measure_of_performance_has_a_metric() {
    for measure in ["accuracy", "precision", "recall", "f1", "auroc", "mae", "mse", "rmse", "r2"] {
        assert!(performance(measure).is_some(), "{measure}");
    }
    for measure in ["accuracy", "precision", "recall", "f1", "auroc"] {
        assert!(performance(&format!("estimated_{measure}")).is_some(), "{measure}");
    }
    assert!(performance("charm").is_none());
}

#[test]
fn no_metric_name_stands_outside_the_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut offences = Vec::new();
    visit(&source, &mut |path, text| {
        for metric in ALL {
            if text.contains(&format!("\"{}\"", metric.name)) {
                offences.push(format!("{}: {}", path.display(), metric.name));
            }
        }
    });
    assert!(offences.is_empty(), "use the statics of export::names instead: {offences:#?}");
}

/// Every source file but the table's own and tests.
fn visit(folder: &Path, see: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, see);
        } else if is_source(&path) && !path.ends_with("export/names.rs") {
            see(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs")
}
