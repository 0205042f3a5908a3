//! Bodies of a given size that a model server would take and give: Open Inference (V2) in JSON.
//!
//! The request is one FP64 tensor whose rows analysis turns into columns; the response has a label for
//! each row. Both are filled up to the exact size by their `id`.

use anyhow::ensure;
use std::fmt::Write;

/// Where the backend answers with the canned response, and where Taffrail decodes.
pub(crate) const PATH: &str = "/v2/models/bench/infer";

/// A request of `bytes` bytes, and how many rows it has.
pub(crate) fn request(bytes: usize, columns: usize) -> anyhow::Result<(String, usize)> {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut data, mut rows) = (String::new(), 0);
    loop {
        let mut row = String::new();
        for _ in 0..columns {
            row.push(',');
            push_number(&mut row, &mut random);
        }
        if with_tensor("", rows + 1, columns, &data).len() + row.len() > bytes {
            break;
        }
        data.push_str(&row);
        rows += 1;
    }
    ensure!(rows > 0, "no row of {columns} columns fits in {bytes} bytes");
    let spare = bytes - with_tensor("", rows, columns, &data).len();
    Ok((with_tensor(&"x".repeat(spare), rows, columns, &data), rows))
}

/// As features look: a quarter whole, the rest with two places.
fn push_number(text: &mut String, random: &mut fastrand::Rng) {
    let number = random.f64() * 1000.0;
    // Writing to a string cannot fail.
    let _ = match random.u8(0..4) {
        0 => write!(text, "{number:.0}"),
        _ => write!(text, "{number:.2}"),
    };
}

/// `data` has a comma before each number.
fn with_tensor(id: &str, rows: usize, columns: usize, data: &str) -> String {
    let data = data.get(1..).unwrap_or_default();
    format!(
        r#"{{"id":"{id}","inputs":[{{"name":"x","shape":[{rows},{columns}],"datatype":"FP64","data":[{data}]}}]}}"#
    )
}

/// A response of `bytes` bytes with a label for each of `rows` rows.
pub(crate) fn response(bytes: usize, rows: usize) -> anyhow::Result<String> {
    let labels = |id: &str| {
        let data: Vec<_> = (0..rows).map(|row| if row % 3 == 0 { "1" } else { "0" }).collect();
        let data = data.join(",");
        format!(
            r#"{{"id":"{id}","model_name":"bench","outputs":[{{"name":"label","shape":[{rows}],"datatype":"INT64","data":[{data}]}}]}}"#
        )
    };
    let least = labels("").len();
    ensure!(least <= bytes, "{rows} labels do not fit in {bytes} bytes");
    Ok(labels(&"x".repeat(bytes - least)))
}
