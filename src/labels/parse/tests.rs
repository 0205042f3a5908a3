use super::*;

fn labels(content_type: Option<&str>, body: &str) -> Vec<Label> {
    let parsed = parse(content_type, body.as_bytes()).unwrap();
    assert_eq!(parsed.bad, []);
    parsed.labels
}

fn one(id: &str, truth: Truth) -> Label {
    Label { id: id.into(), label: LabelValue::One(truth), at: None }
}

fn faults(content_type: &str, body: &str) -> Vec<String> {
    let parsed = parse(Some(content_type), body.as_bytes()).unwrap();
    parsed.bad.iter().map(ToString::to_string).collect()
}

#[test]
fn every_format_says_the_same() {
    let expected = [one("a", Truth::Text("cat".into())), one("b#1", Truth::Text("dog".into()))];
    for (content_type, body) in [
        (Some("application/json"), r#"[{"id":"a","label":"cat"},{"label":"dog","id":"b#1"}]"#),
        (
            Some("application/x-ndjson"),
            "{\"id\":\"a\",\"label\":\"cat\"}\n\n{\"id\":\"b#1\",\"label\":\"dog\"}\n",
        ),
        (
            Some("application/json; charset=utf-8"),
            "{\"id\":\"a\",\"label\":\"cat\"}\r\n{\"id\":\"b#1\",\"label\":\"dog\"}",
        ),
        (Some("text/csv"), "id,label\na,cat\nb#1,dog\n"),
        (None, "\u{feff}Label, ID\n\"cat\", a\ndog,b#1"),
    ] {
        assert_eq!(labels(content_type, body), expected, "{body}");
    }
}

#[test]
fn an_object_may_span_lines_and_label_every_row() {
    let found = labels(None, "{\n \"id\": 17,\n \"label\": [1, null, true, \"x\"]\n}");
    let rows = vec![
        Some(Truth::Number(1.0)),
        None,
        Some(Truth::Bool(true)),
        Some(Truth::Text("x".into())),
    ];
    assert_eq!(found, [Label { id: "17".into(), label: LabelValue::Rows(rows), at: None }]);
}

#[test]
fn a_time_is_rfc_3339_or_seconds() {
    let expected = "2026-01-31T12:00:00.5Z".parse().ok();
    for ts in ["\"2026-01-31T13:00:00.5+01:00\"", "1769860800.5", "\"1769860800.5\""] {
        let body = format!("{{\"id\":\"a\",\"label\":1,\"ts\":{ts}}}");
        assert_eq!(labels(None, &body)[0].at, expected, "{ts}");
    }
    assert_eq!(labels(None, "id,label,ts\na,1,1769860800.5\nb,1,\n")[0].at, expected);
}

#[test]
fn a_bad_line_is_named_and_costs_no_other() {
    let body = "{\"id\":\"a\",\"label\":1}\n{\"id\":\"b\"}\nnonsense\n{\"id\":{},\"label\":1}\n[1]\n\
                {\"id\":\"c\",\"label\":{}}\n{\"id\":\"d\",\"label\":2,\"ts\":\"soon\"}\n{\"id\":\"e\",\"label\":2}";
    let parsed = parse(Some("application/x-ndjson"), body.as_bytes()).unwrap();
    let ids: Vec<_> = parsed.labels.iter().map(|label| &*label.id).collect();
    assert_eq!(ids, ["a", "e"]);
    assert_eq!(parsed.bad_total, 6);
    let faults = faults("application/x-ndjson", body);
    assert_eq!(faults[0], "line 2: `label` is missing");
    assert!(faults[1].starts_with("line 3: is no JSON"), "{}", faults[1]);
    assert!(faults[2].starts_with("line 4: `id` is an object;"), "{}", faults[2]);
    assert!(faults[3].starts_with("line 5: is an array"), "{}", faults[3]);
    assert!(faults[4].starts_with("line 6: `label` is an object;"), "{}", faults[4]);
    assert!(faults[5].starts_with("line 7: `ts` is \"soon\";"), "{}", faults[5]);
}

#[test]
fn a_bad_csv_row_is_named_by_its_line() {
    let body = "id,label,ts\na,1,\n,2,\nc,,\nd\ne,5,never\nf,6,\n";
    let found = faults("text/csv", body);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].starts_with("line 3: `id` is an empty text"), "{}", found[0]);
    assert!(found[1].starts_with("line 4: `label` is an empty text"), "{}", found[1]);
    assert_eq!(found[2], "line 5: `label` is missing");
    assert!(found[3].starts_with("line 6: `ts` is \"never\""), "{}", found[3]);
}

#[test]
fn an_element_of_an_array_is_named_by_its_place() {
    assert_eq!(
        faults("application/json", r#"[{"id":"a","label":1},{"label":1}]"#),
        ["element 2: `id` is missing"]
    );
}

#[test]
fn a_body_that_is_no_labels_at_all_is_refused() {
    assert!(matches!(parse(None, b" \n"), Err(LabelsError::Empty)));
    assert!(matches!(parse(None, b"[{\"id\":\"a\",\"label\":1},"), Err(LabelsError::Json(_))));
    assert!(matches!(parse(None, b"name,label\na,1"), Err(LabelsError::NoColumn("id"))));
}

#[test]
fn reports_of_bad_lines_are_bounded_and_their_count_is_not() {
    let parsed = parse(Some("application/x-ndjson"), "{}\n".repeat(500).as_bytes()).unwrap();
    assert_eq!((parsed.bad.len(), parsed.bad_total), (Parsed::MAX_REPORTED, 500));
}

/// The form that SageMaker's model monitor merges with captured data.
#[test]
fn ground_truth_of_sagemaker_is_read() {
    let line = |data: &str, encoding: &str| {
        format!(
            r#"{{"groundTruthData":{{"data":{data:?},"encoding":"{encoding}"}},"eventMetadata":{{"eventId":"a"}},"eventVersion":"0"}}"#
        )
    };
    let text = |text: &str| Truth::Text(text.to_owned());
    assert_eq!(labels(None, &line("1", "CSV")), [one("a", text("1"))]);
    assert_eq!(labels(None, &line("2.5", "JSON")), [one("a", Truth::Number(2.5))]);
    assert_eq!(labels(None, &line("MQ==", "BASE64")), [one("a", text("1"))]);
    let rows = LabelValue::Rows(vec![Some(text("1")), Some(text("0"))]);
    let both = Label { id: "a".into(), label: rows, at: None };
    assert_eq!(
        labels(None, &[line("1,0", "CSV"), line("1\n0", "CSV")].join("\n")),
        [both.clone(), both]
    );
    let told = faults(
        "application/x-ndjson",
        &[
            line("1", "XML"),
            line("", "CSV"),
            r#"{"groundTruthData":{"data":"1"}}"#.to_owned(),
            r#"{"groundTruthData":1,"eventMetadata":{"eventId":"a"}}"#.to_owned(),
        ]
        .join("\n"),
    );
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].contains("\"XML\"; give CSV, JSON or BASE64"), "{}", told[0]);
    assert!(told[2].contains("eventMetadata.eventId"), "{}", told[2]);
    assert!(told[3].contains("groundTruthData.data"), "{}", told[3]);
}

#[test]
fn lines_of_a_file_are_counted_from_its_beginning() {
    let parsed = parse_lines(None, b"{\"id\":\"a\",\"label\":1}\nno\n", 10).unwrap();
    assert_eq!((parsed.labels.len(), parsed.bad[0].number), (1, 12));
    // The header is line 1 and one row was read before: these are lines 3 and 4.
    let parsed = parse_lines(Some(b"id,label"), b"a,1\nb,\n", 2).unwrap();
    assert_eq!((parsed.labels.len(), parsed.bad[0].number), (1, 4));
}
