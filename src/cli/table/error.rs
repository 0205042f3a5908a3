//! Why a file of rows cannot be read.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum TableError {
    #[error("{}: cannot be read", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{}: unknown format; the name must end in .csv, .jsonl, .ndjson or .parquet", .0.display())]
    UnknownFormat(PathBuf),
    #[error("{}: is a directory; name a file that ends in .csv, .jsonl, .ndjson or .parquet", .0.display())]
    Directory(PathBuf),
    #[error("{}: has no rows", .0.display())]
    Empty(PathBuf),
    #[error("{}: is not CSV as its head says", path.display())]
    Csv { path: PathBuf, source: csv::Error },
    #[error("{}: the head names column {name:?} twice", path.display())]
    Duplicate { path: PathBuf, name: String },
    #[error("{}:{line}: is not a JSON object", path.display())]
    Json { path: PathBuf, line: u64, source: serde_json::Error },
    #[error("{}: is not Parquet that this version reads", path.display())]
    Parquet { path: PathBuf, source: parquet::errors::ParquetError },
}
